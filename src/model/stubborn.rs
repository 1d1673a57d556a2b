//! Why a container did not stop on its stop signal, judged by its processes.

use serde::Serialize;

/// What the main process did with the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KillCause {
    /// It handles the signal, but needed longer than its grace period.
    Slow,
    /// It has no handler. The kernel does not deliver unhandled signals to PID 1.
    Unhandled,
    /// PID 1 is a shell that runs the app as a child and does not forward signals.
    Shell,
}

impl KillCause {
    /// A suggested fix.
    #[must_use]
    pub fn hint(cause: Option<Self>) -> &'static str {
        match cause {
            Some(Self::Slow) => "give it a longer `stop_grace_period`, or let it end sooner: it handles the signal",
            Some(Self::Unhandled) => {
                "handle the signal in the app, name another one with `stop_signal`, or set `init: true`"
            }
            Some(Self::Shell) => {
                "give `command` and `entrypoint` the exec form (`[\"./app\"]`), or end the script with `exec ./app`"
            }
            None => "it may need a longer `stop_grace_period`, the exec form of its `command`, or `init: true`",
        }
    }
}

/// A process of a container, from `ps` on the engine's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i64,
    pub parent: i64,
    /// Bit mask of the signals that have a handler; the lowest bit is signal 1.
    pub caught: u64,
    pub command: String,
}

const SHELLS: [&str; 6] = ["sh", "ash", "bash", "dash", "ksh", "zsh"];
const INITS: [&str; 5] = ["docker-init", "tini", "dumb-init", "catatonit", "podman-init"];

/// The cause, judged by the processes that still run after the signal was sent. `main` is PID 1.
#[must_use]
pub fn kill_cause(main: i64, signal: u32, processes: &[Process]) -> Option<KillCause> {
    let first = processes.iter().find(|process| process.pid == main)?;
    let child = processes.iter().find(|process| process.parent == main);
    let is_init = INITS.contains(&program(&first.command));
    // An init such as tini waits for signals without a handler and forwards them to its child.
    let asked = if is_init { child? } else { first };
    let has_children = processes.iter().any(|process| process.parent == asked.pid);
    let catches = 1_u64.checked_shl(signal.checked_sub(1)?).is_some_and(|bit| asked.caught & bit != 0);
    Some(match catches {
        true => KillCause::Slow,
        false if !is_init && has_children && SHELLS.contains(&program(&asked.command)) => KillCause::Shell,
        false => KillCause::Unhandled,
    })
}

/// The program name of a command line; that of a login shell starts with a dash.
fn program(command: &str) -> &str {
    let path = command.split_whitespace().next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().trim_start_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: u32 = 15;
    const CATCHES_TERM: u64 = 1 << 14;

    fn process(pid: i64, parent: i64, caught: u64, command: &str) -> Process {
        Process { pid, parent, caught, command: command.to_owned() }
    }

    #[test]
    fn a_signal_handler_means_a_slow_app() {
        let cause = |processes: &[Process]| kill_cause(7, TERM, processes);
        assert_eq!(cause(&[process(7, 1, CATCHES_TERM, "node server.js")]), Some(KillCause::Slow));
        assert_eq!(cause(&[process(7, 1, 0b10, "python app.py")]), Some(KillCause::Unhandled));
        assert_eq!(
            kill_cause(7, 2, &[process(7, 1, 0b10, "python app.py")]),
            Some(KillCause::Slow),
            "by its own signal"
        );
        assert_eq!(cause(&[]), None);
        assert_eq!(kill_cause(7, 0, &[process(7, 1, 0, "a")]), None, "no signal has this number");
    }

    #[test]
    fn a_shell_forwards_no_signal() {
        let app = process(8, 7, CATCHES_TERM, "./app");
        for shell in ["sh -c ./app", "/bin/bash /entrypoint.sh", "-ash"] {
            let processes = [process(7, 1, 0x10002, shell), app.clone()];
            assert_eq!(kill_cause(7, TERM, &processes), Some(KillCause::Shell), "{shell}");
        }
        let trap = [process(7, 1, CATCHES_TERM, "sh /entrypoint.sh"), app.clone()];
        assert_eq!(kill_cause(7, TERM, &trap), Some(KillCause::Slow), "the script has a `trap`");
        assert_eq!(kill_cause(7, TERM, &[process(7, 1, 0, "sh -c exec")]), Some(KillCause::Unhandled), "no child");
    }

    #[test]
    fn an_init_is_judged_by_its_child() {
        let init = process(7, 1, 0, "/sbin/docker-init -- ./app");
        let cause = |caught| kill_cause(7, TERM, &[init.clone(), process(8, 7, caught, "./app")]);
        assert_eq!(cause(CATCHES_TERM), Some(KillCause::Slow));
        assert_eq!(cause(0), Some(KillCause::Unhandled));
        assert_eq!(kill_cause(7, TERM, std::slice::from_ref(&init)), None);
    }
}
