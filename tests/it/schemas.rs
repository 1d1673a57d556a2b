//! What programs read is published as a schema, for every command, and the schemas are true.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_apps::event::{CanaryStanding, Detail, Event, Fact, Outcome};
use deploy_apps::model::{AccessoryChange, Generation, InFlight, KillCause, ReleaseNumber, StepId, StepKind};
use deploy_apps::report::{Reporter, json::JsonReporter};
use serde_json::{Value, json};

use crate::schema::{path_of, validates};

/// Commands that change something write the event stream instead of one document.
const STREAMS: [&str; 9] =
    ["deploy", "down", "proxy-upgrade", "remove", "restart", "rollback", "scale", "start", "stop"];
/// Commands whose output is not JSON whatever `--format` says, and why.
const EXEMPT: [(&str, &str); 9] = [
    ("promote", "a line for people; the deploy that watches the canary writes the events"),
    ("abort", "the same"),
    ("certificates-renew", "the document of `certificates`, as it is afterwards"),
    ("config", "what it prints is a compose file, which has a schema of its own"),
    ("exec", "its output is that of the command it runs"),
    ("run", "its output is that of the command it runs"),
    ("completions", "a script for a shell"),
    ("man", "pages for `man`"),
    ("schema", "a schema itself"),
];

/// The leaves of the command line's tree, as `proxy-upgrade`.
fn commands() -> Vec<String> {
    fn walk(command: &clap::Command, above: &str, found: &mut Vec<String>) {
        let children: Vec<_> = command.get_subcommands().filter(|child| child.get_name() != "help").collect();
        for child in &children {
            let name =
                if above.is_empty() { child.get_name().to_owned() } else { format!("{above}-{}", child.get_name()) };
            walk(child, &name, found);
        }
        if children.is_empty() {
            found.push(above.to_owned());
        }
    }
    let mut found = Vec::new();
    walk(&deploy_apps::cli::command(), "", &mut found);
    found
}

#[test]
fn every_command_has_a_schema_or_a_reason() {
    let commands = commands();
    let missing: Vec<_> = commands
        .iter()
        .filter(|name| !STREAMS.contains(&name.as_str()) && !EXEMPT.iter().any(|(exempt, _)| exempt == name))
        .filter(|name| !path_of(name).is_file())
        .collect();
    assert!(
        missing.is_empty(),
        "no docs/schema/<command>.json for {missing:?}; a command that writes events belongs into `STREAMS`"
    );
    for listed in STREAMS.iter().chain(EXEMPT.iter().map(|(name, _)| name)) {
        assert!(commands.iter().any(|name| name == listed), "`{listed}` is listed, but is no command");
        assert!(!path_of(listed).is_file(), "`{listed}` has a schema, so it must not be listed");
    }
}

#[test]
fn every_schema_is_of_version_1_and_names_itself() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    for entry in fs::read_dir(folder).expect("the folder of schemas") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a readable file");
        let schema: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(jsonschema::meta::is_valid(&schema), "{name} is no JSON Schema");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert_eq!(schema["$id"], format!("urn:deploy-apps:schema:{name}:v1"), "{name}");
        assert!(schema["title"].is_string(), "{name} has no title");
    }
}

/// One of each, so that a new fact without a schema fails here; the match makes the list complete.
fn one_of_each() -> Vec<Fact> {
    let time = Duration::from_millis(1500);
    let text = || "text".to_owned();
    let open = InFlight { requests: 3, websockets: 1 };
    let id = StepId(3);
    let facts = vec![
        Fact::LeaseAwaited { owner: text(), host: text(), age: time },
        Fact::PlanMade { took: time },
        Fact::AppPlanned { from: None, to: ReleaseNumber(1), version: text(), replicas: 2, up_to_date: false },
        Fact::RemovalPlanned { release: ReleaseNumber(1), version: text(), containers: 2 },
        Fact::AccessoryPlanned { change: AccessoryChange::Create },
        Fact::Warned { message: text() },
        Fact::StepStarted { id, step: text(), kind: StepKind::Start, subject: None, because: text() },
        Fact::StepFinished { id, step: text(), took: time },
        Fact::BuildProgressed { line: text() },
        Fact::ImageBuilt { took: time, reused: true },
        Fact::ImagePulled { reference: text(), took: time },
        Fact::ReleaseCommandFinished { took: time },
        Fact::BackupFinished { name: text(), output: vec![text()], took: time },
        Fact::ReplicaStarted { name: text() },
        Fact::ReplicaHealthy { name: text(), healthy: 1, wanted: 2, took: time },
        Fact::Flipped { generation: Generation(7), took: time },
        Fact::CertificateStored { host: text(), expires: text() },
        Fact::RouteConfirmed,
        Fact::DrainProgressed { left: open },
        Fact::Drained { waited: open, cut: InFlight::default(), took: time },
        Fact::ReplicaStopped { name: text(), killed: true, cause: Some(KillCause::Slow), took: time },
        Fact::ReplicaUnstable { name: text(), restarts: 2, within: time, log: vec![text()], hint: text() },
        Fact::StepFailed {
            id,
            step: text(),
            error: text(),
            hint: None,
            details: vec![Detail { title: text(), lines: vec![text()] }],
        },
        Fact::CanaryCompared {
            release: ReleaseNumber(2),
            stable: ReleaseNumber(1),
            weight: 0.5,
            standing: CanaryStanding::Passed,
            requests: 400,
            errors: 1,
            stable_requests: 800,
            stable_errors: 2,
            summary: text(),
        },
        Fact::CancelRequested,
        Fact::Undone { id, step: text() },
        Fact::UndoFailed { id, step: text(), error: text() },
        Fact::LeftBehind { id: Some(id), what: text(), error: text() },
        Fact::Pruned { images: 2, containers: 1 },
        Fact::AppFinished { outcome: Outcome::CompletedWithLeftovers, urls: vec![text()], took: time },
    ];
    for fact in &facts {
        match fact {
            Fact::LeaseAwaited { .. }
            | Fact::PlanMade { .. }
            | Fact::AppPlanned { .. }
            | Fact::RemovalPlanned { .. }
            | Fact::AccessoryPlanned { .. }
            | Fact::Warned { .. }
            | Fact::StepStarted { .. }
            | Fact::StepFinished { .. }
            | Fact::BuildProgressed { .. }
            | Fact::ImageBuilt { .. }
            | Fact::ImagePulled { .. }
            | Fact::ReleaseCommandFinished { .. }
            | Fact::BackupFinished { .. }
            | Fact::ReplicaStarted { .. }
            | Fact::ReplicaHealthy { .. }
            | Fact::Flipped { .. }
            | Fact::CertificateStored { .. }
            | Fact::RouteConfirmed
            | Fact::DrainProgressed { .. }
            | Fact::Drained { .. }
            | Fact::ReplicaStopped { .. }
            | Fact::ReplicaUnstable { .. }
            | Fact::StepFailed { .. }
            | Fact::CanaryCompared { .. }
            | Fact::CancelRequested
            | Fact::Undone { .. }
            | Fact::UndoFailed { .. }
            | Fact::LeftBehind { .. }
            | Fact::Pruned { .. }
            | Fact::AppFinished { .. } => {}
        }
    }
    facts
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines_of(facts: Vec<Fact>) -> Vec<Value> {
    let out = Captured::default();
    let reporter = JsonReporter::new(out.clone());
    for fact in facts {
        let app = "sample/web".parse().ok().filter(|_| fact != Fact::CancelRequested);
        reporter.event(&Event { app, elapsed: Duration::from_millis(20), fact });
    }
    reporter.finish();
    let text = String::from_utf8(out.0.lock().expect("no panic").clone()).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_event_is_as_its_schema_says() {
    let lines = lines_of(one_of_each());
    assert_eq!(lines.len(), one_of_each().len());
    lines.iter().for_each(|line| validates("events", line));
}

#[test]
fn the_schema_of_events_names_each_event_once_and_no_other() {
    let text = fs::read_to_string(path_of("events")).expect("the schema");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let published = schema["properties"]["event"]["enum"].as_array().expect("names");
    // `failed` is written by the command line, when there is no run that could have events.
    let mut real: Vec<Value> = lines_of(one_of_each()).iter().map(|line| line["event"].clone()).collect();
    real.push(json!("failed"));
    assert_eq!(published, &real);
    for name in published {
        let name = name.as_str().expect("text");
        let rule = json!({ "if": { "properties": { "event": { "const": name } } }, "then": { "$ref": format!("#/$defs/{name}") } });
        assert!(schema["allOf"].as_array().expect("rules").contains(&rule), "no rule for `{name}`");
        // An event whose fields are not looked at would be accepted with any.
        let fields = &schema["$defs"][name];
        assert_eq!(
            fields["properties"].as_object().expect("fields").keys().collect::<Vec<_>>(),
            fields["required"].as_array().expect("names").iter().filter_map(Value::as_str).collect::<Vec<_>>(),
            "`{name}`: every field is always there"
        );
    }
}

#[test]
#[should_panic(expected = "generation")]
fn a_line_that_breaks_its_schema_is_found() {
    validates("events", &json!({ "v": 1, "app": "a/b", "elapsed_ms": 3, "event": "flipped", "took_ms": 3 }));
}
