//! What a notification contains, and what it must not contain.

use std::time::{Duration, SystemTime};

use super::summary::Gathered;
use crate::event::{Event, Fact, Outcome};
use crate::model::{Generation, ReleaseNumber, Secret, StepId};
use crate::ports::{Ending, Origin, RunInfo};

fn run() -> RunInfo {
    let text = str::to_owned;
    let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    RunInfo { command: "deploy", project: text("sample"), owner: text("ann"), host: text("laptop"), started }
}

fn ending(exit_code: u8, error: Option<&str>) -> Ending {
    let origin = Origin {
        commit: Some("abc123".to_owned()),
        branch: None,
        url: Some("https://ci.example.com/runs/7".to_owned()),
    };
    let finished = run().started + Duration::from_millis(4_500);
    Ending { exit_code, failed: exit_code != 0, error: error.map(str::to_owned), origin, finished }
}

fn gathered(facts: &[Fact]) -> Gathered {
    let gathered = Gathered::default();
    for fact in facts {
        let app = Some("sample/web".parse().expect("a key"));
        gathered.event(&Event { app, elapsed: Duration::ZERO, fact: fact.clone() });
    }
    gathered
}

fn planned(to: u32) -> Fact {
    let version = format!("1.4.0+{to}");
    Fact::AppPlanned { from: Some(ReleaseNumber(7)), to: ReleaseNumber(to), version, replicas: 1, up_to_date: to == 7 }
}

fn finished(outcome: Outcome) -> Fact {
    let urls = vec!["http://web.localhost:8080".to_owned()];
    Fact::AppFinished { outcome, urls, took: Duration::from_millis(4_200) }
}

#[test]
fn a_success_has_all_fields() {
    let flipped = Fact::Flipped { generation: Generation(3), took: Duration::ZERO };
    let gathered = gathered(&[planned(8), flipped, finished(Outcome::Completed)]);
    let summary = gathered.summary(&run(), &ending(0, None)).expect("something to tell");
    let expected = serde_json::json!({
        "v": 1,
        "command": "deploy",
        "project": "sample",
        "status": "success",
        "exit_code": 0,
        "error": null,
        "apps": [{
            "app": "sample/web", "from": 7, "to": 8, "version": "1.4.0+8", "outcome": "completed", "took_ms": 4200,
            "urls": ["http://web.localhost:8080"], "error": null,
        }],
        "owner": "ann",
        "host": "laptop",
        "commit": "abc123",
        "branch": null,
        "run_url": "https://ci.example.com/runs/7",
        "started_at": "2023-11-14T22:13:20.123Z",
        "finished_at": "2023-11-14T22:13:24.623Z",
        "took_ms": 4500,
    });
    assert_eq!(serde_json::to_value(&summary).expect("JSON"), expected);
    assert_eq!(
        summary.chat(),
        "✔ deploy of sample done, by ann on laptop\n• web r7 → r8 1.4.0+8: completed http://web.localhost:8080\n\
         https://ci.example.com/runs/7"
    );
}

#[test]
fn a_failure_says_why() {
    let failed = Fact::StepFailed {
        id: StepId(6),
        step: "await".to_owned(),
        error: "`web` answered <500>".to_owned(),
        hint: None,
        details: vec![],
    };
    let gathered = gathered(&[planned(8), failed, finished(Outcome::RolledBack)]);
    let summary = gathered.summary(&run(), &ending(1, None)).expect("something to tell");
    let value = serde_json::to_value(&summary).expect("JSON");
    assert_eq!((&value["status"], &value["apps"][0]["error"]), (&"failure".into(), &"`web` answered <500>".into()));
    assert!(
        summary.chat().contains("• web r7 → r8 1.4.0+8: rolled back (`web` answered &lt;500&gt;)"),
        "{}",
        summary.chat()
    );
}

#[test]
fn a_run_that_reached_no_app_says_why() {
    let summary =
        Gathered::default().summary(&run(), &ending(9, Some("the lease is held"))).expect("something to tell");
    let value = serde_json::to_value(&summary).expect("JSON");
    assert_eq!((&value["apps"], &value["error"]), (&serde_json::json!([]), &"the lease is held".into()));
    assert!(
        summary.chat().starts_with("✘ deploy of sample failed, by ann on laptop\nthe lease is held"),
        "{}",
        summary.chat()
    );
}

#[test]
fn a_run_without_changes_sends_nothing() {
    let gathered = gathered(&[planned(7), finished(Outcome::UpToDate)]);
    assert!(gathered.summary(&run(), &ending(0, None)).is_none());
    assert!(Gathered::default().summary(&run(), &ending(0, None)).is_none());
}

#[test]
fn secrets_are_not_shown() {
    let secret = Secret::new("token".to_owned());
    assert_eq!(format!("{secret:?} {}", serde_json::to_string(&secret).expect("JSON")), "••• \"•••\"");
    assert_eq!(secret.reveal(), "token");
}
