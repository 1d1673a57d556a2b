//! Processes in a container, from the engine's `ps`.

use bollard::query_parameters::TopOptionsBuilder;

use super::DockerEngine;
use crate::model::{KillCause, Process, kill_cause};

/// Columns of procps' `ps`. An engine with another `ps` gives no information.
const COLUMNS: &str = "-eo pid,ppid,caught,args";
const SIGTERM: u32 = 15;

/// Why a container keeps running after its stop signal; `None` if unknown.
pub(super) async fn cause(engine: &DockerEngine, name: &str, main: i64, signal: Option<&str>) -> Option<KillCause> {
    let number = signal.map_or(Some(SIGTERM), number_of)?;
    let options = TopOptionsBuilder::default().ps_args(COLUMNS).build();
    let told = engine.call("list its processes", engine.client.top_processes(name, Some(options))).await.ok()?;
    let processes: Vec<Process> = told.processes?.iter().filter_map(|row| process(row)).collect();
    kill_cause(main, number, &processes)
}

fn process(row: &[String]) -> Option<Process> {
    let [pid, parent, caught, command] = row else { return None };
    Some(Process {
        pid: pid.parse().ok()?,
        parent: parent.parse().ok()?,
        caught: u64::from_str_radix(caught.trim_start_matches('<'), 16).ok()?,
        command: command.clone(),
    })
}

/// `SIGINT`, `INT` or `2`.
fn number_of(signal: &str) -> Option<u32> {
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    let known = [("HUP", 1), ("INT", 2), ("QUIT", 3), ("USR1", 10), ("USR2", 12), ("TERM", SIGTERM), ("WINCH", 28)];
    let named = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, number)| *number);
    named.or_else(|| name.parse().ok().filter(|number| (1..=64).contains(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_parsed_by_name_and_number() {
        let cases = [("SIGTERM", Some(15)), ("int", Some(2)), ("28", Some(28)), ("SIGRTMIN+3", None), ("0", None)];
        for (signal, number) in cases {
            assert_eq!(number_of(signal), number, "{signal}");
        }
    }

    #[test]
    fn a_row_of_ps_is_a_process() {
        let row = ["19889", "19868", "0000000000014002", "sh -c ./app"].map(str::to_owned);
        let found = process(&row).expect("a process");
        assert_eq!((found.pid, found.parent, found.caught), (19889, 19868, 0x14002));
        assert_eq!(process(&row[..3]), None);
    }
}
