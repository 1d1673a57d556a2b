//! Shared parts of the benchmarks: connection to the engine, resources and their cleanup, and output of numbers.

pub mod cgroup;
pub mod crowd;
pub mod engine;
pub mod host;
pub mod http;
pub mod images;
pub mod options;
pub mod process;
pub mod results;
pub mod samples;
pub mod standing;
pub mod table;
pub mod wrk;

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::thread::available_parallelism;

use deploy_apps::docker::{DockerEngine, connect};
use deploy_apps::ports::Engine;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use images::Images;
use options::Options;

/// An error ends the row and is printed as the reason.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The context of every measurement.
pub struct Bench {
    pub engine: DockerEngine,
    pub images: Images,
    pub quick: bool,
}

impl Bench {
    pub async fn prepare(quick: bool) -> Result<Self> {
        let engine = connect(|name| std::env::var(name).ok()).await?;
        let images = Images::prepare(&engine).await?;
        Ok(Self { engine, images, quick })
    }

    /// The number of rounds. Medians and spreads of fewer than five rounds say little, so `quick` is for a first look.
    pub fn rounds(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

/// A description of the machine and its load, without which numbers cannot be compared.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub memory_bytes: u64,
    pub engine: String,
    /// Over one minute, at the start.
    pub load_average: f64,
}

impl Machine {
    pub async fn look(engine: &DockerEngine) -> Result<Self> {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load_average = load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kilobytes = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
        let memory_bytes = kilobytes.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default() * 1024;
        Ok(Self {
            cores: available_parallelism()?.get(),
            memory_bytes,
            engine: engine.info().await?.version,
            load_average,
        })
    }

    pub fn print(&self) {
        println!("{self}");
        if self.load_average > self.cores as f64 {
            println!("note: the machine is busy with something else, so these numbers are worse than its own");
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, engine, load_average, .. } = self;
        write!(f, "{cores} cores, engine {engine}, load average {load_average:.2} at the start")
    }
}

/// Runs a benchmark from command line to exit code; the machine's load is printed above all numbers.
pub async fn run<F: Future<Output = Result<bool>>>(
    name: &str,
    words: &[&str],
    measure: impl FnOnce(Bench, Machine, Options) -> F,
) -> ExitCode {
    let options = match Options::parse(name, words) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    until_interrupted(async {
        let bench = Bench::prepare(options.quick).await?;
        let machine = Machine::look(&bench.engine).await?;
        machine.print();
        measure(bench, machine, options).await
    })
    .await
}

/// Runs a benchmark until its end, Ctrl-C or an error. The rest is then dropped, which removes everything that it
/// created on the engine. `Ok(false)`: something could not be measured.
pub async fn until_interrupted(measure: impl Future<Output = Result<bool>>) -> ExitCode {
    let ended = tokio::select! {
        ended = measure => ended,
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
