//! Frames at a terminal.

use super::runs::{app, cancelled, failure, lease_awaited, planned, started, stuck, success};
use super::*;
use crate::event::{Event, Fact, Outcome};

#[test]
fn a_step_under_way_is_shown_until_its_work_has_words_of_its_own() {
    let expected = block(
        r#"
go-app    r7 → r8  1.4.0+8   ⠋ build image `deploy-apps/sample/go-app:r8`
node-app  r3       1.1.0+3   waiting
"#,
    );
    assert_eq!(live(&success()[..3]), expected);
}

#[test]
fn a_build_shows_its_last_line_without_the_colours_and_breaks_that_it_brought() {
    let expected = block(
        r#"
go-app    r7 → r8  1.4.0+8   ⠦ building · #8 RUN go build ./...
node-app  r3       1.1.0+3   up to date (routes confirmed)
"#,
    );
    assert_eq!(live(&success()[..8]), expected);
}

#[test]
fn what_is_done_stays_in_front_of_what_goes_on() {
    let expected = block(
        r#"
go-app    r7 → r8  1.4.0+8   built 2.1s · 2/2 healthy 0.4s · flipped 1ms · ⠦ draining 14 requests
node-app  r3       1.1.0+3   up to date (routes confirmed)
"#,
    );
    assert_eq!(live(&success()[..16]), expected);
}

#[test]
fn a_finished_run_leaves_one_aligned_line_for_each_app() {
    let expected = block(
        r#"
go-app    r7 → r8  1.4.0+8   built 2.1s · 2/2 healthy 0.4s · flipped 1ms · drained 14 requests in 6.2s   ✔ http://go-app.localhost:8080
node-app  r3       1.1.0+3   up to date (routes confirmed)
"#,
    );
    assert_eq!(closing(&success()), expected);
}

#[test]
fn a_line_that_is_too_long_loses_what_is_behind_it_and_never_wraps() {
    let expected = block(
        r#"
go-app  r7 → r8   `sample-go-app-r8-1` was not healthy within 30s · ⠙ remove `sample-go-app-r8-1`
"#,
    );
    assert_eq!(live(&failure()[..6]), expected);
}

#[test]
fn the_current_stage_is_in_sight_at_every_width() {
    let stages = [
        (success(), 16, "draining"),
        (success(), 8, "building"),
        (failure(), 6, "remove"),
        (cancelled(), 6, "draining"),
    ];
    for width in [40, 80, 120] {
        for (events, count, stage) in &stages {
            let run = run_of(&events[..*count]);
            let lines = frame::live(&run, run.elapsed, Size { width, height: 24 }, NO_COLOUR);
            assert!(lines.iter().any(|line| line.contains(stage)), "`{stage}` at {width}: {lines:#?}");
        }
        let run = run_of(&success());
        let lines = frame::live(&run, run.elapsed, Size { width, height: 24 }, NO_COLOUR);
        assert!(lines[0].contains('✔'), "the end at {width}: {lines:#?}");
    }
}

#[test]
fn finished_stages_give_way_first() {
    let run = run_of(&success()[..16]);
    let line = |width| frame::live(&run, run.elapsed, Size { width, height: 24 }, NO_COLOUR).remove(0);
    assert_eq!(line(80), "go-app    r7 → r8  1.4.0+8   flipped 1ms · ⠦ draining 14 requests");
    assert_eq!(line(40), "go-app    ⠦ draining 14 requests");
}

#[test]
fn a_failure_stands_below_with_its_evidence_and_what_to_do() {
    let expected = block(
        r#"
go-app  r7 → r8  1.4.0+8   image unchanged   ✘ rolled back, r7 serves as before

error: go-app: `sample-go-app-r8-1` was not healthy within 30s
  while: await `sample-go-app-r8-1` healthy: 2 × 10.201.4.7:8080/healthz within 30s
  last probe answer:
    status 503
    no database
  last log lines of `sample-go-app-r8-1`:
    listening on :8080
      retry in 1s

hint: see all of its output with `deploy-apps logs go-app`
"#,
    );
    assert_eq!(closing(&failure()), expected);
}

#[test]
fn a_cancelled_run_says_so_while_it_undoes() {
    let expected = block(
        r#"
go-app    r7 → r8  1.4.0+8   cancelling · ⠇ create `sample-go-app-r8-1` from `abc` at 10.201.4.7
node-app  r3 → r4  1.2.0+4   flipped 1ms · cancelling · ⠇ draining 2 requests and 1 websocket
"#,
    );
    assert_eq!(live(&cancelled()[..6]), expected);
}

#[test]
fn a_cancelled_run_says_who_serves_now() {
    let expected = block(
        r#"
go-app    r7 → r8  1.4.0+8   ✘ cancelled, r7 serves as before
node-app  r3 → r4  1.2.0+4   flipped 1ms   ✘ cancelled after the flip, r4 serves

warning: node-app: left `sample-node-app-r3-1` behind for the next run: it was still draining
"#,
    );
    assert_eq!(closing(&cancelled()), expected);
}

#[test]
fn what_was_cut_killed_and_not_undone_is_told() {
    let expected = block(
        r#"
go-app  r7 → r8  1.4.0+8   flipped 1ms · drained 4 requests and 1 websocket in 1m 0s · cut 1 request and 1 websocket at the limit   ✘ stuck: `deploy-apps status` shows what serves

warning: service `redis` has no `healthcheck`: it counts as ready at once

warning: go-app: `sample-go-app-r7-1` ignored its stop signal and was killed after 10.0s

hint: handle the signal in the app, name another one with `stop_signal`, or set `init: true`

error: go-app: the proxy `deploy-apps` does not answer: connection closed
  while: flip `sample/go-app`

error: go-app: could not undo: the proxy `deploy-apps` does not answer: connection closed
  while: flip `sample/go-app` to `sample-go-app-r7-1`

hint: see what serves with `deploy-apps status`, then deploy again
"#,
    );
    assert_eq!(closing(&stuck()), expected);
}

#[test]
fn who_is_waited_for_is_named() {
    let expected = block(
        r#"
go-app   waiting for the deploy of ben on ci-3, begun 12s ago
"#,
    );
    assert_eq!(live(&lease_awaited()[..1]), expected);
}

#[test]
fn the_host_has_a_line_while_it_has_something_to_do() {
    let expected = block(
        r#"
host                  ⠋ build image `deploy-apps/proxy:1f2e3d4c5b6a7988`
go-app  r1  1.0.0+1   waiting
"#,
    );
    assert_eq!(live(&lease_awaited()[..5]), expected);
}

#[test]
fn a_first_release_comes_from_nothing() {
    let expected = block(
        r#"
host                  built 5.0s
go-app  r1  1.0.0+1   1/2 healthy 0.4s · flipped 1ms   ✔ http://go-app.localhost:8080
"#,
    );
    assert_eq!(closing(&lease_awaited()), expected);
}

fn many_apps() -> Vec<Event> {
    let mut events: Vec<Event> = (0..40).map(|n| app(&format!("app-{n:02}"), 1, planned(1, 2, "1.0.0+2"))).collect();
    let end = Fact::AppFinished { outcome: Outcome::Completed, urls: Vec::new(), took: runs::ms(5) };
    events.extend((0..30).map(|n| app(&format!("app-{n:02}"), 2, end.clone())));
    events
}

#[test]
fn more_apps_than_the_screen_has_lines_show_those_that_move() {
    let run = run_of(&many_apps());
    let lines = frame::live(&run, run.elapsed, SCREEN, NO_COLOUR);
    assert_eq!(lines.len(), SCREEN.height - 1);
    assert!(lines[0].starts_with("app-30") && lines[9].starts_with("app-39"), "{lines:#?}");
    assert_eq!(lines[22], "… and 18 more");
}

#[test]
fn no_size_of_the_screen_makes_a_line_too_wide_or_a_frame_too_high() {
    let mut events = success();
    events.extend(failure());
    events.extend(many_apps());
    for (width, height) in [(1, 1), (2, 3), (20, 5), (79, 24), (500, 200)] {
        for count in 0..events.len() {
            let run = run_of(&events[..count]);
            let lines = frame::live(&run, run.elapsed, Size { width, height }, Paint { colour: true });
            assert!(lines.len() <= height.max(2), "{} lines in a height of {height}", lines.len());
            for line in &lines {
                assert!(console::measure_text_width(line) <= width, "{line:?} in a width of {width}");
            }
        }
    }
}

#[test]
fn colours_say_success_error_warning_and_hint() {
    let colour = Paint { colour: true };
    let text = |events: &[Event]| frame::closing(&run_of(events), colour).join("\n");
    assert!(text(&success()).contains("\u{1b}[32m✔ http://go-app.localhost:8080\u{1b}[0m"));
    let failed = text(&failure());
    assert!(failed.contains("\u{1b}[31merror:\u{1b}[0m go-app: `sample-go-app-r8-1` was not healthy"));
    assert!(failed.contains("\u{1b}[36mhint:\u{1b}[0m see all of its output"));
    assert!(text(&stuck()).contains("\u{1b}[33mwarning:\u{1b}[0m"));
}

#[test]
fn a_step_that_takes_long_tells_its_time() {
    let events = [app("go-app", 0, planned(1, 2, "1.0.0+2")), app("go-app", 0, started(7, "stop `old`"))];
    let run = run_of(&events);
    let lines = frame::live(&run, runs::ms(72_000), SCREEN, NO_COLOUR);
    assert_eq!(lines, ["go-app  r1 → r2  1.0.0+2   ⠋ stop `old` 1m 12s"]);
}
