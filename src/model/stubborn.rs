//! Why a container outlived its stop signal, as far as its processes tell.

use serde::Serialize;

/// What its main process did with the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KillCause {
    /// It handles the signal, and needed longer than its grace period.
    Slow,
    /// It has no handler, and the kernel passes a signal without one not on to PID 1.
    Unhandled,
    /// Its PID 1 is a shell that runs the app as a child and passes no signal on.
    Shell,
}

impl KillCause {
    /// What helps.
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

/// A process of a container, as `ps` on the engine's machine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i64,
    pub parent: i64,
    /// The signals that it has a handler for, the lowest bit for signal 1.
    pub caught: u64,
    pub command: String,
}

const SHELLS: [&str; 6] = ["sh", "ash", "bash", "dash", "ksh", "zsh"];
const INITS: [&str; 5] = ["docker-init", "tini", "dumb-init", "catatonit", "podman-init"];

/// What the processes say while the signal has been sent and the container runs on. `main` is its PID 1.
#[must_use]
pub fn kill_cause(main: i64, signal: u32, processes: &[Process]) -> Option<KillCause> {
    let first = processes.iter().find(|process| process.pid == main)?;
    let child = processes.iter().find(|process| process.parent == main);
    let is_init = INITS.contains(&program(&first.command));
    // An init waits for its signals without a handler, and passes them on to its child.
    let asked = if is_init { child? } else { first };
    let has_children = processes.iter().any(|process| process.parent == asked.pid);
    let catches = 1_u64.checked_shl(signal.checked_sub(1)?).is_some_and(|bit| asked.caught & bit != 0);
    Some(match catches {
        true => KillCause::Slow,
        false if !is_init && has_children && SHELLS.contains(&program(&asked.command)) => KillCause::Shell,
        false => KillCause::Unhandled,
    })
}

/// The name of the program in a command line; a login shell has a dash before it.
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
    fn a_handler_tells_a_slow_app_from_one_that_never_gets_the_signal() {
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
    fn a_shell_with_a_child_passes_nothing_on() {
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
    fn an_init_is_asked_by_its_child() {
        let init = process(7, 1, 0, "/sbin/docker-init -- ./app");
        let cause = |caught| kill_cause(7, TERM, &[init.clone(), process(8, 7, caught, "./app")]);
        assert_eq!(cause(CATCHES_TERM), Some(KillCause::Slow));
        assert_eq!(cause(0), Some(KillCause::Unhandled));
        assert_eq!(kill_cause(7, TERM, std::slice::from_ref(&init)), None);
    }
}
