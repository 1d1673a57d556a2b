//! Whole logs: what is told on the way, then the results.

use super::runs::{cancelled, failure, lease_awaited, stuck, success};
use super::*;
use crate::report::{Format, Reporter, Surroundings, plain::PlainReporter};

fn plain(events: &[Event]) -> (String, String) {
    let (talk, results) = (Captured::default(), Captured::default());
    let reporter = PlainReporter::new(talk.clone(), results.clone());
    events.iter().for_each(|event| reporter.event(event));
    reporter.finish();
    reporter.finish();
    (talk.text(), results.text())
}

/// Without the last line, which is the total.
fn talk(events: &[Event]) -> String {
    let text = plain(events).0;
    let (before, total) = text.trim_end().rsplit_once('\n').expect("several lines");
    assert!(total.contains(" in ") && total.starts_with(|c: char| c.is_ascii_digit()), "{total}");
    before.to_owned()
}

#[test]
fn the_last_line_is_the_total() {
    let last = |events: &[Event]| plain(events).0.lines().next_back().unwrap_or_default().to_owned();
    assert_eq!(last(&success()), "2 apps in 8.9s: 1 done, 1 up to date");
    assert_eq!(last(&failure()), "1 app in 30.3s: failed and undone");
}

#[test]
fn a_run_is_told_fact_by_fact_with_times_and_names() {
    let expected = block(
        r#"
   10ms  go-app: r7 → r8 1.4.0+8, 2 replicas
   10ms  node-app: r3 1.1.0+3 is what runs already
   13ms  node-app: routes confirmed
   14ms  node-app: finished in 4ms: up to date (routes confirmed)
   2.1s  go-app: built in 2.1s
   2.2s  go-app: `sample-go-app-r8-1` started
   2.5s  go-app: `sample-go-app-r8-1` healthy after 0.3s (1/2)
   2.6s  go-app: `sample-go-app-r8-2` healthy after 0.4s (2/2)
   2.6s  go-app: flipped to generation #43 in 1ms
   8.8s  go-app: drained 14 requests in 6.2s
   8.9s  go-app: `sample-go-app-r7-1` stopped in 90ms
   8.9s  go-app: finished in 8.9s: ✔ http://go-app.localhost:8080
"#,
    );
    assert_eq!(talk(&success()).trim_end(), expected);
}

#[test]
fn a_failure_brings_its_evidence_where_it_happened() {
    let expected = block(
        r#"
   10ms  go-app: r7 → r8 1.4.0+8, 2 replicas
   20ms  go-app: image unchanged
   0.1s  go-app: `sample-go-app-r8-1` started
  30.1s  go-app: error: `sample-go-app-r8-1` was not healthy within 30s
  30.1s  go-app:   while: await `sample-go-app-r8-1` healthy: 2 × 10.201.4.7:8080/healthz within 30s
  30.1s  go-app:   last probe answer:
  30.1s  go-app:     status 503
  30.1s  go-app:     no database
  30.1s  go-app:   last log lines of `sample-go-app-r8-1`:
  30.1s  go-app:     listening on :8080
  30.1s  go-app:       retry in 1s
  30.1s  go-app: hint: see all of its output with `deploy-apps logs go-app`
  30.3s  go-app: undone: create `sample-go-app-r8-1`
  30.3s  go-app: finished in 30.3s: ✘ rolled back, r7 serves as before
"#,
    );
    assert_eq!(talk(&failure()).trim_end(), expected);
}

#[test]
fn a_cancelled_run_tells_what_it_undid_and_left() {
    let expected = block(
        r#"
   10ms  go-app: r7 → r8 1.4.0+8, 2 replicas
   10ms  node-app: r3 → r4 1.2.0+4, 2 replicas
   0.5s  node-app: flipped to generation #44 in 1ms
   0.8s  host: cancelling
   0.9s  go-app: undone: create `sample-go-app-r8-1`
   0.9s  go-app: finished in 0.9s: ✘ cancelled, r7 serves as before
   0.9s  node-app: warning: left `sample-node-app-r3-1` behind for the next run: it was still draining
   0.9s  node-app: finished in 0.9s: ✘ cancelled after the flip, r4 serves
"#,
    );
    assert_eq!(talk(&cancelled()).trim_end(), expected);
}

#[test]
fn what_could_not_be_undone_is_told() {
    let expected = block(
        r#"
    5ms  host: warning: service `redis` has no `healthcheck`: it counts as ready at once
   10ms  go-app: r7 → r8 1.4.0+8, 2 replicas
   0.4s  go-app: flipped to generation #43 in 1ms
  1m 1s  go-app: drained 4 requests and 1 websocket in 1m 0s, cut 1 request and 1 websocket at the limit
 1m 11s  go-app: warning: `sample-go-app-r7-1` ignored its stop signal and was killed after 10.0s
 1m 11s  go-app: hint: handle the signal in the app, name another one with `stop_signal`, or set `init: true`
 1m 11s  go-app: error: the proxy `deploy-apps` does not answer: connection closed
 1m 11s  go-app:   while: flip `sample/go-app`
 1m 12s  go-app: error: could not undo: the proxy `deploy-apps` does not answer: connection closed
 1m 12s  go-app:   while: flip `sample/go-app` to `sample-go-app-r7-1`
 1m 12s  go-app: hint: see what serves with `deploy-apps status`, then deploy again
 1m 12s  go-app: finished in 1m 12s: ✘ stuck: `deploy-apps status` shows what serves
"#,
    );
    assert_eq!(talk(&stuck()).trim_end(), expected);
}

#[test]
fn waiting_is_told_now_and_then_only() {
    let expected = block(
        r#"
    0ms  go-app: waiting for the deploy of ben on ci-3, begun 12s ago
  11.0s  go-app: waiting for the deploy of ben on ci-3, begun 23s ago
  12.0s  go-app: r1 1.0.0+1, 2 replicas
  17.0s  host: built in 5.0s
  17.5s  go-app: `sample-go-app-r8-1` healthy after 0.4s (1/2)
  17.5s  go-app: flipped to generation #1 in 1ms
  17.5s  go-app: finished in 17.5s: ✔ http://go-app.localhost:8080
"#,
    );
    assert_eq!(talk(&lease_awaited()).trim_end(), expected);
}

#[test]
fn the_results_alone_go_to_the_stream_of_results() {
    let closing = closing(&success());
    assert_eq!(plain(&success()).1, closing + "\n");
}

#[test]
fn nothing_that_a_terminal_would_act_upon_is_written() {
    for run in [success(), failure(), cancelled(), stuck(), lease_awaited()] {
        let (talk, results) = plain(&run);
        let acted_upon = |c: char| c.is_control() && c != '\n';
        assert!(!talk.contains(acted_upon) && !results.contains(acted_upon), "{talk:?} {results:?}");
    }
}

#[test]
fn live_lines_are_for_terminals_that_want_them() {
    let terminal = Surroundings { stderr_is_terminal: true, ..Surroundings::default() };
    assert_eq!(Format::for_people(terminal), Format::Terminal);
    let plain = [
        Surroundings::default(),
        Surroundings { dumb: true, ..terminal },
        Surroundings { no_color: true, ..terminal },
        Surroundings { ci: true, ..terminal },
    ];
    for surroundings in plain {
        assert_eq!(Format::for_people(surroundings), Format::Plain, "{surroundings:?}");
    }
}
