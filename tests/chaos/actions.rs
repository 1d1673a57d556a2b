//! What people do to their apps, and what it must come to.

use std::io::Write;

use deploy_apps::load::Load;
use serde_json::json;

use crate::api::Way;
use crate::faults;
use crate::fleet::{Fleet, LOCK_WAIT, version};
use crate::harness::{App, FAULT_APP, Running};
use crate::laws::Excuse;
use crate::schedule::{APPS, Action, Bad, Fault, Moment, Step};

/// A version that is never well is waited for this long.
const PATIENCE: &str = "3s";
/// What the payload of a build takes, and what is left for it on a full disk.
const PAYLOAD: usize = 8 << 20;
const LEFT: u64 = 4 << 20;

/// Does it, asserts how the commands end, and says what it must have cost.
pub async fn perform(fleet: &mut Fleet, step: &Step, loads: &[Load]) -> Excuse {
    let (app, name) = (step.app, APPS[step.app]);
    let mark = format!("step-{}", step.number);
    let takes_a_replica = matches!(step.action, Action::Fault(Fault::KillReplica(_) | Fault::DisconnectReplica(_), _));
    if takes_a_replica && fleet.apps[app].replicas < 2 {
        // The loss of the only one is an outage, whatever the proxy does.
        scale(fleet, app, 2).await;
    }
    match step.action {
        Action::Deploy => {
            fleet.wants(app, &mark, good);
            deploy(fleet, app, &[name], 0).await;
        }
        Action::Atomic => {
            (0..APPS.len()).for_each(|app| fleet.wants(app, &mark, good));
            let output = fleet.run(&[&APPS[..], &["--atomic"]].concat()).await.succeeded();
            (0..APPS.len()).for_each(|app| fleet.settle(app, output.code));
        }
        Action::Scale(replicas) => scale(fleet, app, replicas).await,
        Action::Rollback => {
            let before = fleet.apps[app].may_serve.clone();
            fleet.wants(app, &mark, good);
            deploy(fleet, app, &[name], 0).await;
            fleet.run(&["rollback", name]).await.succeeded();
            fleet.apps[app].may_serve = before;
        }
        Action::ReplaceProxy { killed_after } => replace_proxy(fleet, killed_after).await,
        Action::Bad(bad) => {
            fleet.wants(app, &mark, |app| spoilt(app, bad));
            deploy(fleet, app, &[name], if matches!(bad, Bad::StartsSlowly(_)) { 0 } else { 1 }).await;
            fleet.wants(app, &format!("{mark}-repaired"), good);
        }
        Action::Race(replicas) => race(fleet, app, &mark, replicas).await,
        Action::FullDisk { checked } => full_disk(fleet, app, &mark, checked).await,
        Action::Fault(fault, None) => return faults::inject(fleet, fault, app, None, loads).await,
        Action::Fault(fault, Some(moment)) => return midway(fleet, app, &mark, (fault, moment), loads).await,
    }
    Excuse::default()
}

fn good(app: App) -> App {
    app
}

async fn deploy(fleet: &mut Fleet, app: usize, args: &[&str], code: i32) {
    let output = fleet.run(args).await.exited(code);
    fleet.settle(app, output.code);
}

async fn scale(fleet: &mut Fleet, app: usize, replicas: u32) {
    fleet.run(&["scale", &format!("{}={replicas}", APPS[app])]).await.succeeded();
    fleet.apps[app].replicas = replicas as usize;
}

async fn replace_proxy(fleet: &Fleet, killed_after: Option<u32>) {
    let args = ["proxy", "upgrade", "--force"];
    let Some(step) = killed_after else {
        fleet.run(&args).await.succeeded();
        return;
    };
    let killed = fleet.cli(&args).env("DEPLOY_APPS_CRASH_AFTER", &step.to_string()).run().await;
    let killed = fleet.heard(&args, killed);
    assert!(matches!(killed.code, None | Some(0)), "killed, or over before\n{killed}");
    fleet.run(&args[..2]).await.succeeded();
}

fn spoilt(app: App, bad: Bad) -> App {
    let impatient = |app: App| app.set("/x-deploy-apps/health/timeout", json!(PATIENCE));
    match bad {
        Bad::Crashes => app.fault("exit"),
        Bad::Hangs => impatient(app.fault("hang")),
        Bad::WrongPort => impatient(app.fault("wrong-port")),
        Bad::DiesWhenWell(answers) => app.fault("exit-later").env("FAULT_AFTER", &answers.to_string()),
        Bad::EatsMemory => app.fault("eat-memory").set("/deploy/resources/limits/memory", json!("64M")),
        Bad::StartsSlowly(seconds) => app.fault("slow-start").env("FAULT_AFTER", &seconds.to_string()),
    }
}

/// Whoever comes first, all of them are content, and what they wanted is what there is.
async fn race(fleet: &mut Fleet, app: usize, mark: &str, replicas: u32) {
    fleet.wants(app, mark, good);
    let (deploy, scale) = ([&[APPS[app]], &LOCK_WAIT[..]].concat(), format!("{}={replicas}", APPS[app]));
    let scale = [&["scale", &scale], &LOCK_WAIT[..]].concat();
    let (one, other, third) = tokio::join!(fleet.run(&deploy), fleet.run(&deploy), fleet.run(&scale));
    let codes = [one, other, third].map(|output| output.succeeded().code);
    fleet.settle(app, codes[0]);
    fleet.apps[app].replicas = replicas as usize;
}

/// A deploy with a fault in the middle of it.
async fn midway(fleet: &mut Fleet, app: usize, mark: &str, (fault, moment): (Fault, Moment), loads: &[Load]) -> Excuse {
    fleet.wants(app, mark, good);
    let args = [&[APPS[app], "--format", "json"], &LOCK_WAIT[..]].concat();
    let mut running = fleet.cli(&args).spawn();
    reach(&mut running, moment).await;
    let excuse = faults::inject(fleet, fault, app, Some(&running), loads).await;
    let output = fleet.heard(&args, running.finish().await);
    fleet.api.set(Way::Open);
    assert!(faults::may_end_with(fault, output.code), "a deploy during {fault:?} must not end like this\n{output}");
    fleet.settle(app, output.code);
    excuse
}

/// A run that has fewer steps is over by then, which is a moment too.
async fn reach(running: &mut Running, moment: Moment) {
    for _ in 0..moment.steps {
        if running.event_or_end("step_started", |_| true).await.is_none() {
            return;
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(moment.millis)).await;
}

async fn full_disk(fleet: &mut Fleet, app: usize, mark: &str, checked: bool) {
    let folder = fleet.host.folder().join(format!("context-{mark}"));
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("Dockerfile"), format!("FROM {FAULT_APP}\nCOPY payload /payload\n")).expect("a file");
    // Differs from every other payload, so no layer of an earlier build will do.
    std::fs::write(folder.join("payload"), mark.repeat(PAYLOAD / mark.len())).expect("a file");
    fleet.wants(app, mark, |_| version(app, mark).set("/build", json!({ "context": folder })));

    let filler = fleet.engine.data().join("filler");
    let free = rustix::fs::statvfs(fleet.engine.data()).expect("a disk");
    let mut room = (free.f_bavail * free.f_frsize).saturating_sub(LEFT);
    let mut file = std::fs::File::create(&filler).expect("a file on the engine's disk");
    let zeros = vec![0; 1 << 20];
    while room > 0 {
        let piece = usize::try_from(room).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(&zeros[..piece]).expect("room on the engine's disk");
        room -= piece as u64;
    }
    // Refused before it begins, or failed and undone.
    let (args, code) = if checked { (vec![APPS[app]], 6) } else { (vec![APPS[app], "--min-free", "0"], 1) };
    let output = fleet.run(&args).await;
    std::fs::remove_file(&filler).expect("a file that is there");
    output.exited(code);
    fleet.settle(app, Some(1));
    // What could not be built then is what the next deploy builds.
    fleet.apps[app].may_serve.retain(|served| served != mark);
}
