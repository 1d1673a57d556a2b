//! What goes wrong by itself, and what it may cost.

use std::time::Duration;

use deploy_apps::load::{Cause, Load};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::api::Way;
use crate::fleet::{CLIENTS, Fleet};
use crate::harness::{DEADLINE, RESTART, Running, eventually};
use crate::laws::Excuse;
use crate::schedule::{APPS, Fault};

/// A request on a process that is killed: the proxy's answer for it, or the end of what had begun.
const ON_A_REPLICA: &[Cause] = &[Cause::Status(502), Cause::Eof, Cause::Reset, Cause::CutStream];
/// Nobody tells the client of a replica without a network: it gives up.
const ON_A_LOST_REPLICA: &[Cause] =
    &[Cause::Status(502), Cause::Status(504), Cause::Eof, Cause::Reset, Cause::CutStream, Cause::Timeout];
/// The client's own connection ends.
const ON_THE_PROXY: &[Cause] = &[Cause::Eof, Cause::Reset, Cause::CutStream];
/// As long as nobody listens, no connection comes about either.
const WITHOUT_A_PROXY: &[Cause] = &[Cause::Eof, Cause::Reset, Cause::CutStream, Cause::Refused, Cause::Connect];
/// The engine forwards the published port and the packets between containers, and makes its rules again when it starts: until
/// they are complete, new connections are refused and what is sent on old ones waits.
const WITHOUT_AN_ENGINE: &[Cause] =
    &[Cause::Refused, Cause::Connect, Cause::Timeout, Cause::Status(502), Cause::Status(504)];

/// Lets it happen, waits until what was hurt is back if it comes back by itself, and says what that must have cost.
pub async fn inject(fleet: &mut Fleet, fault: Fault, app: usize, cli: Option<&Running>, loads: &[Load]) -> Excuse {
    match fault {
        Fault::SignalCli(signal) => cli.expect("a command under way").signal(signal),
        Fault::KillReplica(place) => {
            let name = replica(fleet, app, place).await;
            let pid = fleet.engine.docker(&["inspect", "--format", "{{.State.Pid}}", &name]);
            kill(pid.parse().ok().and_then(Pid::from_raw)).await;
            return only(app, ON_A_REPLICA, CLIENTS);
        }
        Fault::DisconnectReplica(place) => {
            let name = replica(fleet, app, place).await;
            fleet.engine.docker(&["network", "disconnect", fleet.host.name(), &name]);
            // Those that are open, and those that are sent on what the proxy still takes for a connection.
            return Excuse { may_hang: Some(app), ..only(app, ON_A_LOST_REPLICA, 2 * CLIENTS) };
        }
        Fault::KillWorker => {
            kill(processes(fleet, "nginx: worker").into_iter().next()).await;
            return Excuse { causes: ON_THE_PROXY, at_most: [CLIENTS; APPS.len()], ..Excuse::default() };
        }
        Fault::KillProxy => {
            let before = lost(loads);
            kill(processes(fleet, "nginx: master").into_iter().next()).await;
            answers_again(fleet).await;
            return until_now(WITHOUT_A_PROXY, before, loads);
        }
        // How many there were does not matter: it may be at its end.
        Fault::CutControl => _ = cli.expect("a command under way").cut_control(),
        Fault::PauseEngine { seconds } => {
            fleet.api.set(Way::Paused);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            fleet.api.set(Way::Open);
        }
        Fault::CutEngine => {
            fleet.api.set(Way::Cut);
            // Long enough for each connection to end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            fleet.api.set(Way::Open);
        }
        Fault::SlowEngine { millis } => fleet.api.set(Way::Slow(Duration::from_millis(millis))),
        Fault::RestartEngine(signal) => {
            let before = lost(loads);
            fleet.engine.end(signal);
            fleet.engine.boot().await;
            answers_again(fleet).await;
            return until_now(WITHOUT_AN_ENGINE, before, loads);
        }
    }
    Excuse::default()
}

/// Whether a deploy may end with this code when the fault came in the middle of it. `None` is a signal's end.
pub fn may_end_with(fault: Fault, code: Option<i32>) -> bool {
    match (fault, code) {
        // Of whatever kind, the last step may have been over.
        (_, Some(0)) => true,
        (Fault::SignalCli(signal), _) if signal == Signal::KILL => code.is_none(),
        (Fault::SignalCli(signal), _) => code == Some(128 + signal.as_raw()),
        (Fault::KillReplica(_) | Fault::DisconnectReplica(_), Some(1 | 3)) => true,
        // What was on its way is repeated, but for a call that must not have its effect twice.
        (Fault::KillWorker | Fault::KillProxy | Fault::CutControl, Some(1 | 3)) => true,
        // Lost before the flip, it is the next run's; after it, only the clean-up is.
        (Fault::PauseEngine { .. } | Fault::CutEngine | Fault::RestartEngine(_), Some(1 | 3 | 7)) => true,
        _ => false,
    }
}

fn only(app: usize, causes: &'static [Cause], most: u64) -> Excuse {
    let mut excuse = Excuse { causes, ..Excuse::default() };
    excuse.at_most[app] = most;
    excuse
}

fn lost(loads: &[Load]) -> [u64; APPS.len()] {
    std::array::from_fn(|app| loads[app].progress().failures)
}

/// What was lost while it was away, and the one request that each client may have begun just before it was back.
fn until_now(causes: &'static [Cause], before: [u64; APPS.len()], loads: &[Load]) -> Excuse {
    let now = lost(loads);
    Excuse { causes, at_most: std::array::from_fn(|app| now[app] - before[app] + CLIENTS), ..Excuse::default() }
}

async fn replica(fleet: &Fleet, app: usize, place: usize) -> String {
    let peers = fleet.host.record(APPS[app]).await.expect("a record").peers;
    peers[place % peers.len()].id.clone()
}

/// The processes in the proxy's container whose command line has `part`, as this machine numbers them.
fn processes(fleet: &Fleet, part: &str) -> Vec<Pid> {
    let nginx = fleet.nginx().pop().expect("an nginx");
    let listed = fleet.engine.docker(&["top", &nginx, "-eo", "pid,args"]);
    let lines = listed.lines().filter(|line| line.contains(part));
    lines.filter_map(|line| Pid::from_raw(line.split_whitespace().next()?.parse().ok()?)).collect()
}

/// Returns when it is gone. What had ended before is gone already: a drained replica may be.
async fn kill(process: Option<Pid>) {
    let Some(pid) = process else { return };
    let _ = kill_process(pid, Signal::KILL);
    eventually("it is gone", DEADLINE, async || test_kill_process(pid).is_err().then_some(())).await;
}

/// With no command run.
async fn answers_again(fleet: &Fleet) {
    for app in APPS {
        let answers = async || (fleet.host.try_get(app, "/mark").await?.status == 200).then_some(());
        eventually(&format!("`{app}` answers again"), RESTART, answers).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_under_a_fault_ends_with_the_codes_that_are_documented_for_it() {
        assert!(may_end_with(Fault::SignalCli(Signal::KILL), None));
        assert!(may_end_with(Fault::SignalCli(Signal::INT), Some(130)));
        assert!(may_end_with(Fault::SignalCli(Signal::TERM), Some(143)));
        assert!(!may_end_with(Fault::SignalCli(Signal::INT), None));
        assert!(!may_end_with(Fault::CutControl, Some(7)), "the engine is there");
        assert!(!may_end_with(Fault::SlowEngine { millis: 1 }, Some(1)), "slow is not broken");
        for fault in [Fault::KillProxy, Fault::CutEngine, Fault::RestartEngine(Signal::TERM)] {
            assert!(!may_end_with(fault, Some(4)), "nobody is needed to look after {fault:?}");
        }
    }
}
