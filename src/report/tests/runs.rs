//! Runs as the executor tells them.

use std::time::Duration;

use crate::event::{Detail, Event, Fact, Outcome};
use crate::model::{Generation, InFlight, KillCause, ReleaseNumber, StepId, StepKind};

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub fn host(at: u64, fact: Fact) -> Event {
    Event { app: None, elapsed: ms(at), fact }
}

pub fn app(name: &str, at: u64, fact: Fact) -> Event {
    Event { app: Some(format!("sample/{name}").parse().expect("valid key")), elapsed: ms(at), fact }
}

fn go(at: u64, fact: Fact) -> Event {
    app("go-app", at, fact)
}

fn node(at: u64, fact: Fact) -> Event {
    app("node-app", at, fact)
}

pub fn planned(from: u32, to: u32, version: &str) -> Fact {
    Fact::AppPlanned {
        from: (from > 0).then_some(ReleaseNumber(from)),
        to: ReleaseNumber(to),
        version: version.to_owned(),
        replicas: 2,
        up_to_date: from == to,
    }
}

pub fn started(id: u32, step: &str) -> Fact {
    let id = StepId(id);
    let kind = match step.split(' ').next() {
        Some("build") => StepKind::Build,
        Some("create") => StepKind::Create,
        Some("start") => StepKind::Start,
        Some("await") => StepKind::Gate,
        Some("confirm") => StepKind::Confirm,
        _ => StepKind::Remove,
    };
    let subject = step.split('`').nth(1).filter(|_| kind != StepKind::Confirm).map(str::to_owned);
    Fact::StepStarted { id, step: step.to_owned(), kind, subject, because: "the image has changed".to_owned() }
}

fn finished(id: u32, step: &str, took: u64) -> Fact {
    Fact::StepFinished { id: StepId(id), step: step.to_owned(), took: ms(took) }
}

fn healthy(replica: u32, took: u64) -> Fact {
    Fact::ReplicaHealthy { name: format!("sample-go-app-r8-{replica}"), healthy: replica, wanted: 2, took: ms(took) }
}

fn in_flight(requests: u64, websockets: u64) -> InFlight {
    InFlight { requests, websockets }
}

fn urls(name: &str) -> Vec<String> {
    vec![format!("http://{name}.localhost:8080")]
}

/// One app gets a new release while the other has nothing to do.
pub fn success() -> Vec<Event> {
    vec![
        go(10, planned(7, 8, "1.4.0+8")),
        node(10, planned(3, 3, "1.1.0+3")),
        go(11, started(2, "build image `deploy-apps/sample/go-app:r8`")),
        node(12, started(9, "confirm that `sample/node-app` is routed to `sample-node-app-r3-1`")),
        node(13, Fact::RouteConfirmed),
        node(13, finished(9, "confirm that `sample/node-app` is routed to `sample-node-app-r3-1`", 1)),
        node(14, Fact::AppFinished { outcome: Outcome::UpToDate, urls: urls("node-app"), took: ms(4) }),
        go(600, Fact::BuildProgressed { line: "\u{1b}[36m#8 RUN go build ./...\u{1b}[0m\r\n".to_owned() }),
        go(2110, Fact::ImageBuilt { took: ms(2100), reused: false }),
        go(2110, finished(2, "build image `deploy-apps/sample/go-app:r8`", 2100)),
        go(2120, started(5, "start `sample-go-app-r8-1`")),
        go(2200, Fact::ReplicaStarted { name: "sample-go-app-r8-1".to_owned() }),
        go(2500, healthy(1, 300)),
        go(2600, healthy(2, 400)),
        go(2601, Fact::Flipped { generation: Generation(43), took: ms(1) }),
        go(2602, Fact::DrainProgressed { left: in_flight(14, 0) }),
        go(8700, Fact::DrainProgressed { left: in_flight(1, 0) }),
        go(8800, Fact::Drained { waited: in_flight(14, 0), cut: in_flight(0, 0), took: ms(6200) }),
        go(
            8900,
            Fact::ReplicaStopped { name: "sample-go-app-r7-1".to_owned(), killed: false, cause: None, took: ms(90) },
        ),
        go(8910, Fact::AppFinished { outcome: Outcome::Completed, urls: urls("go-app"), took: ms(8900) }),
    ]
}

/// The new release never gets healthy.
pub fn failure() -> Vec<Event> {
    let gate = "await `sample-go-app-r8-1` healthy: 2 × 10.201.4.7:8080/healthz within 30s";
    vec![
        go(10, planned(7, 8, "1.4.0+8")),
        go(20, Fact::ImageBuilt { took: ms(2), reused: true }),
        go(100, Fact::ReplicaStarted { name: "sample-go-app-r8-1".to_owned() }),
        go(101, started(6, gate)),
        go(
            30_100,
            Fact::StepFailed {
                id: StepId(6),
                step: gate.to_owned(),
                error: "`sample-go-app-r8-1` was not healthy within 30s".to_owned(),
                hint: Some("see all of its output with `deploy-apps logs go-app`".to_owned()),
                details: vec![
                    Detail {
                        title: "last probe answer".to_owned(),
                        lines: vec!["status 503".to_owned(), "no database\u{7}".to_owned()],
                    },
                    Detail {
                        title: "last log lines of `sample-go-app-r8-1`".to_owned(),
                        lines: vec!["\u{1b}[2Jlistening on :8080".to_owned(), "  retry\tin 1s".to_owned()],
                    },
                ],
            },
        ),
        go(30_110, started(4, "remove `sample-go-app-r8-1`")),
        go(30_300, Fact::Undone { id: StepId(4), step: "create `sample-go-app-r8-1`".to_owned() }),
        go(30_310, Fact::AppFinished { outcome: Outcome::RolledBack, urls: Vec::new(), took: ms(30_300) }),
    ]
}

/// The user stops a run: one app before its flip, one after it.
pub fn cancelled() -> Vec<Event> {
    vec![
        go(10, planned(7, 8, "1.4.0+8")),
        node(10, planned(3, 4, "1.2.0+4")),
        node(500, Fact::Flipped { generation: Generation(44), took: ms(1) }),
        node(501, Fact::DrainProgressed { left: in_flight(2, 1) }),
        go(502, started(4, "create `sample-go-app-r8-1` from `abc` at 10.201.4.7")),
        host(800, Fact::CancelRequested),
        go(900, Fact::Undone { id: StepId(4), step: "create `sample-go-app-r8-1`".to_owned() }),
        go(910, Fact::AppFinished { outcome: Outcome::Cancelled, urls: Vec::new(), took: ms(900) }),
        node(
            920,
            Fact::LeftBehind {
                id: Some(StepId(12)),
                what: "`sample-node-app-r3-1`".to_owned(),
                error: "it was still draining".to_owned(),
            },
        ),
        node(930, Fact::AppFinished { outcome: Outcome::Cancelled, urls: Vec::new(), took: ms(920) }),
    ]
}

/// Undoing fails as well, and a cut and a killed replica are told.
pub fn stuck() -> Vec<Event> {
    vec![
        host(
            5,
            Fact::Warned { message: "service `redis` has no `healthcheck`: it counts as ready at once".to_owned() },
        ),
        go(10, planned(7, 8, "1.4.0+8")),
        go(400, Fact::Flipped { generation: Generation(43), took: ms(1) }),
        go(60_400, Fact::Drained { waited: in_flight(5, 2), cut: in_flight(1, 1), took: ms(60_000) }),
        go(
            70_400,
            Fact::ReplicaStopped {
                name: "sample-go-app-r7-1".to_owned(),
                killed: true,
                cause: Some(KillCause::Unhandled),
                took: ms(10_000),
            },
        ),
        go(
            71_000,
            Fact::StepFailed {
                id: StepId(8),
                step: "flip `sample/go-app`".to_owned(),
                error: "the proxy `deploy-apps` does not answer: connection closed".to_owned(),
                hint: None,
                details: Vec::new(),
            },
        ),
        go(
            72_000,
            Fact::UndoFailed {
                id: StepId(8),
                step: "flip `sample/go-app` to `sample-go-app-r7-1`".to_owned(),
                error: "the proxy `deploy-apps` does not answer: connection closed".to_owned(),
            },
        ),
        go(72_010, Fact::AppFinished { outcome: Outcome::Stuck, urls: Vec::new(), took: ms(72_000) }),
    ]
}

/// Somebody else deploys first, then a first deploy with the proxy's own start.
pub fn lease_awaited() -> Vec<Event> {
    let awaited = |age| Fact::LeaseAwaited { owner: "ben".to_owned(), host: "ci-3".to_owned(), age: ms(age) };
    vec![
        go(0, awaited(12_000)),
        go(1_000, awaited(13_000)),
        go(11_000, awaited(23_000)),
        go(12_000, planned(0, 1, "1.0.0+1")),
        host(12_001, started(3, "build image `deploy-apps/proxy:1f2e3d4c5b6a7988`")),
        host(17_001, Fact::ImageBuilt { took: ms(5_000), reused: false }),
        host(17_002, finished(3, "build image `deploy-apps/proxy:1f2e3d4c5b6a7988`", 5_000)),
        go(17_500, healthy(1, 400)),
        go(17_501, Fact::Flipped { generation: Generation(1), took: ms(1) }),
        go(17_502, Fact::AppFinished { outcome: Outcome::Completed, urls: urls("go-app"), took: ms(17_500) }),
    ]
}
