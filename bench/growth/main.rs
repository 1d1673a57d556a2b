//! How the product's numbers grow with apps, replicas, open WebSockets and the proxy's table, and whether anything
//! grows with the number of deploys.
//!
//! `cargo bench --bench growth` measures the first four; `-- soak` deploys in a loop for a given time. Times are never
//! asserted. `docs/internals/benchmark.md` explains each line.

mod apps;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "each benchmark uses a part of it")]
mod common;
mod flips;
mod grid;
mod page;
mod plot;
mod replicas;
mod soak;
mod table;
mod websockets;

use std::process::ExitCode;

use common::options::Options;
use common::results::{self, Head};
use common::{Bench, Machine, Result};
use serde::Serialize;

use grid::Grid;

const WORDS: [&str; 5] = ["apps", "replicas", "websockets", "table", "soak"];

#[derive(Debug, Serialize)]
struct Results<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    growth: Vec<Grid>,
}

#[tokio::main]
async fn main() -> ExitCode {
    common::run("growth", &WORDS, measure).await
}

/// Returns whether everything could be measured.
async fn measure(bench: Bench, machine: Machine, options: Options) -> Result<bool> {
    // It takes as long as all others together, so it runs only on request.
    if options.words.iter().any(|word| word == "soak") {
        let file = options.out.unwrap_or_else(|| results::default_file("soak"));
        return soak::measure(&bench, &machine, options.deploys.unwrap_or(2_000), &file).await;
    }
    let file = options.out.clone().unwrap_or_else(|| results::default_file("growth"));
    let rounds = options.rounds.unwrap_or(bench.rounds(7, 2));
    let mut results = Results { head: Head::new("growth", &machine), growth: Vec::new() };
    let mut all = true;
    for word in WORDS.into_iter().filter(|word| *word != "soak" && options.wants(word)) {
        let mut grid = Grid::new(word);
        let measured = match word {
            "apps" => apps::measure(&bench, rounds, &mut grid).await,
            "replicas" => replicas::measure(&bench, rounds, &mut grid).await,
            "websockets" => websockets::measure(&bench, rounds, &mut grid).await,
            _ => table::measure(&bench, rounds, &mut grid).await,
        };
        print!("{grid}");
        if let Err(error) = measured {
            all = false;
            println!("{word}: not measured any further: {error}");
        }
        results.growth.push(grid);
        results::write(&file, &results)?;
        std::fs::write(file.with_extension("html"), page::growth(&results.growth, &machine))?;
    }
    println!("every round of it: {}\nto look at: {}", file.display(), file.with_extension("html").display());
    Ok(all)
}
