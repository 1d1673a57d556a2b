//! The product's performance goals, measured in one run on a real engine with the release binary.
//!
//! `cargo bench` prints all numbers, `cargo bench -- flip` those whose name contains the word, and `cargo bench --
//! --quick` uses fewer rounds. Each is marked as `reached` or `short` of its goal. Times are never asserted, so the
//! exit code only says whether the measurement succeeded. `docs/internals/benchmark.md` explains each row.

mod attacks;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "each benchmark uses a part of it")]
mod common;
mod drain;
mod exit;
mod failed;
mod flip;
mod nothing;
mod overhead;
mod tail;
mod throughput;
mod twenty;

use std::process::ExitCode;

use common::{Bench, Machine, Result, crowd, engine, host, http, samples, standing, table, wrk};

/// In the order of printing: short ones first, so that mistakes show early.
const ROWS: [&str; 10] =
    ["nothing", "flip", "exit", "drain", "overhead", "attacks", "twenty", "throughput", "tail", "failed"];

#[tokio::main]
async fn main() -> ExitCode {
    let (mut quick, mut words) = (false, Vec::new());
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            // An option of cargo for harnesses that also run tests.
            "--bench" => {}
            "--quick" => quick = true,
            word if ROWS.iter().any(|row| row.contains(word)) => words.push(arg),
            other => {
                eprintln!("error: no row is called `{other}`\nhint: cargo bench -- [--quick] [{}]", ROWS.join("|"));
                return ExitCode::from(2);
            }
        }
    }
    let rows = ROWS.into_iter().filter(|row| words.is_empty() || words.iter().any(|word| row.contains(word.as_str())));
    common::until_interrupted(measure(quick, rows)).await
}

/// Returns whether all rows could be measured.
async fn measure(quick: bool, rows: impl Iterator<Item = &'static str>) -> Result<bool> {
    let bench = Bench::prepare(quick).await?;
    Machine::look(&bench.engine).await?.print();
    table::head();
    let mut all = true;
    for row in rows {
        let measured = match row {
            "nothing" => nothing::measure(&bench).await,
            "flip" => flip::measure(&bench).await,
            "exit" => exit::measure(&bench).await,
            "drain" => drain::measure(&bench).await,
            "overhead" => overhead::measure(&bench).await,
            "attacks" => attacks::measure(&bench).await,
            "twenty" => twenty::measure(&bench).await,
            "throughput" => throughput::measure(&bench).await,
            "tail" => tail::measure(&bench).await,
            _ => failed::measure(&bench).await,
        };
        if let Err(error) = measured {
            all = false;
            println!("{row}: not measured: {error}");
        }
    }
    Ok(all)
}
