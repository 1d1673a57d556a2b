//! How long tests with containers of their own take, for the list of the slowest that `tests/run` prints.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::Instant;

/// Begins with a test's containers and ends when they are gone; a line of `target/tmp/durations` says how long that was.
pub struct Stopwatch {
    test: String,
    began: Instant,
}

impl Stopwatch {
    /// The thread that runs a test is called like it.
    pub fn start() -> Self {
        let test = thread::current().name().unwrap_or("unnamed").to_owned();
        Self { test, began: Instant::now() }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let line = format!("{:.1} {} {}\n", self.began.elapsed().as_secs_f64(), env!("CARGO_CRATE_NAME"), self.test);
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("durations");
        // In one write, as other tests append to it, too. A list that cannot be written is no reason to fail.
        let _ = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .and_then(|mut file| file.write_all(line.as_bytes()));
    }
}
