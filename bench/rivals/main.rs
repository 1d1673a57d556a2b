//! Compares the product with other deployment tools: same machine, app, load and number of deploys.
//!
//! `cargo bench --bench rivals` measures every installed tool, in a different order each round, and lists the missing
//! ones. Times are never asserted: the exit code only says whether the measurement succeeded.
//! `docs/internals/benchmark.md` explains each line.

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "each benchmark uses a part of it")]
mod common;
mod load;
mod metrics;
mod page;
mod round;
mod shuffle;
mod stage;
mod stop;
mod table;
mod tools;

use std::path::Path;
use std::process::ExitCode;

use common::options::Options;
use common::results::{self, Head};
use common::{Bench, Machine, Result};
use serde::Serialize;

use round::Round;
use shuffle::Shuffle;
use tools::Tool;

/// The measurements of one tool.
#[derive(Debug, Serialize)]
struct Measured {
    tool: &'static str,
    title: &'static str,
    version: Option<String>,
    /// Why it was not measured.
    missing: Option<String>,
    /// Why rounds failed.
    errors: Vec<String>,
    rounds: Vec<Round>,
}

#[derive(Debug, Serialize)]
struct Results<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    seed: u64,
    deploys_per_round: usize,
    tools: &'a [Measured],
}

#[tokio::main]
async fn main() -> ExitCode {
    common::run("rivals", &Tool::ALL.map(Tool::key), measure).await
}

/// Returns whether every round of every installed tool could be measured.
async fn measure(bench: Bench, machine: Machine, options: Options) -> Result<bool> {
    let rounds = options.rounds.unwrap_or(bench.rounds(5, 2));
    let deploys = options.deploys.unwrap_or(bench.rounds(5, 2));
    // The seed is stored in the results file, so that a run can be repeated.
    let seed = options.seed.unwrap_or(1);
    let file = options.out.clone().unwrap_or_else(|| results::default_file("rivals"));

    let chosen: Vec<Tool> = Tool::ALL.into_iter().filter(|tool| options.wants(tool.key())).collect();
    let mut measured = Vec::new();
    for tool in &chosen {
        let (version, missing) = match tool.look(&bench).await {
            Ok(version) => (Some(version), None),
            Err(why) => (None, Some(why.to_string())),
        };
        let (tool, title) = (tool.key(), tool.title());
        measured.push(Measured { tool, title, version, missing, errors: Vec::new(), rounds: Vec::new() });
    }

    let head = Head::new("rivals", &machine);
    let mut order: Vec<usize> = (0..chosen.len()).filter(|index| measured[*index].missing.is_none()).collect();
    let mut shuffle = Shuffle::new(seed);
    for number in 1..=rounds {
        shuffle.order(&mut order);
        for (place, &index) in order.iter().enumerate() {
            let (tool, of) = (chosen[index], &mut measured[index]);
            match round::measure(&bench, tool, number, place + 1, deploys).await {
                Ok(round) => {
                    println!("round {number}/{rounds}  {:<16} {}", tool.title(), table::line(&round));
                    of.rounds.push(round);
                }
                Err(error) => {
                    println!("round {number}/{rounds}  {:<16} not measured: {error}", tool.title());
                    of.errors.push(error.to_string());
                }
            }
            let head = Head { began: head.began, ..Head::new("rivals", &machine) };
            let all = Results { head, seed, deploys_per_round: deploys, tools: &measured };
            results::write(&file, &all)?;
            std::fs::write(file.with_extension("html"), page::page(&measured, &machine))?;
            std::fs::write(file.with_extension("svg"), page::lost(&measured))?;
        }
    }
    finish(&measured, &file);
    Ok(measured.iter().all(|tool| tool.errors.is_empty()))
}

fn finish(measured: &[Measured], file: &Path) {
    println!("\n{}", table::table(measured));
    println!("every round of it: {}\nto look at: {}", file.display(), file.with_extension("html").display());
}
