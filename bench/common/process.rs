//! Measures commands: their duration, and the memory of the process and its children.

use std::fs;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::Result;

/// Far above any command of a benchmark; a hung one ends its row.
const LIMIT: Duration = Duration::from_secs(180);
/// Commands run for hundreds of milliseconds and grow slowly, so this misses little.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Runs the command until it succeeds and returns the duration, including the start of the process.
pub async fn run(command: Command) -> Result<Duration> {
    let begun = Instant::now();
    finish(start(command)?).await?;
    Ok(begun.elapsed())
}

/// The peak memory of the process and its descendants, in bytes.
pub async fn peak_memory(command: Command) -> Result<u64> {
    let child = start(command)?;
    let pid = child.id().ok_or("the command ended before it was seen")?;
    let mut peak = 0;
    let look = async {
        loop {
            peak = peak.max(resident(pid));
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        ended = finish(child) => ended?,
        () = look => {}
    }
    Ok(peak)
}

/// Starts the command; the caller waits for its end. Dropping it kills it.
pub fn start(mut command: Command) -> Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command.spawn()?)
}

pub async fn finish(child: Child) -> Result {
    let Output { status, stdout, stderr } = timeout(LIMIT, child.wait_with_output())
        .await
        .map_err(|_| format!("the command did not end within {LIMIT:?}"))??;
    if status.success() {
        return Ok(());
    }
    let said = [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat();
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("the deploy ended with {status}: {}", last.join("; ")).into())
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let own =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    own.unwrap_or(0) * 1024 + children(pid).into_iter().map(resident).sum::<u64>()
}

/// The children of all threads.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}
