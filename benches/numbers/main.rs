//! The numbers that this product promises, measured in one run on a real engine with the release binary.
//!
//! `cargo bench` prints all of them, `cargo bench -- flip` those whose name has the word, `cargo bench -- --quick` takes
//! fewer rounds. Each stands beside its goal as `reached` or `short`; no time is ever asserted, so the exit code says
//! only whether the measuring itself went well. What each row means: `docs/benchmark.md`.

mod drain;
mod engine;
mod exit;
mod failed;
mod flip;
mod host;
mod images;
mod nothing;
mod overhead;
mod samples;
mod standing;
mod table;
mod tail;
mod throughput;
mod twenty;

use std::error::Error;
use std::process::ExitCode;
use std::thread::available_parallelism;

use deploy_apps::docker::{DockerEngine, connect};
use deploy_apps::ports::Engine;
use tokio::signal::unix::{SignalKind, signal};

use images::Images;

/// Whatever keeps a number from being measured ends its row, with the reason.
type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// In the order of printing: short ones first, so that a mistake shows early.
const ROWS: [&str; 9] = ["nothing", "flip", "exit", "drain", "overhead", "twenty", "throughput", "tail", "failed"];

/// What every row needs.
struct Bench {
    engine: DockerEngine,
    images: Images,
    quick: bool,
}

impl Bench {
    /// How often to measure: medians and spreads of fewer than five rounds say little, so `quick` is for a first look.
    fn rounds(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let (mut quick, mut words) = (false, Vec::new());
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            // Cargo's own, for harnesses that also run tests.
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
    // Whatever ends first, the other is dropped, and with it all that it has made on the engine.
    let ended = tokio::select! {
        ended = measure(quick, rows) => ended,
        () = interrupted() => Err("interrupted".into()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every row could be measured.
async fn measure(quick: bool, rows: impl Iterator<Item = &'static str>) -> Result<bool> {
    let engine = connect(|name| std::env::var(name).ok()).await?;
    let images = Images::prepare(&engine).await?;
    describe(&engine).await?;
    let bench = Bench { engine, images, quick };
    table::head();
    let mut all = true;
    for row in rows {
        let measured = match row {
            "nothing" => nothing::measure(&bench).await,
            "flip" => flip::measure(&bench).await,
            "exit" => exit::measure(&bench).await,
            "drain" => drain::measure(&bench).await,
            "overhead" => overhead::measure(&bench).await,
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

/// A number without its machine says nothing, and one from a busy machine says something else.
async fn describe(engine: &DockerEngine) -> Result {
    let cores = available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!("{cores} cores, engine {}, load average {load} at the start", engine.info().await?.version);
    if load.parse().is_ok_and(|load: f64| load > cores.get() as f64) {
        println!("note: the machine is busy with something else, so these numbers are worse than its own");
    }
    Ok(())
}

async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
