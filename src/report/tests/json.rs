//! Version 1 of the stream: these lines are a promise to the programs that read them.

use serde_json::Value;

use super::runs::{cancelled, failure, lease_awaited, stuck, success};
use super::*;
use crate::report::{Reporter, json::JsonReporter};

fn json(events: &[Event]) -> String {
    let out = Captured::default();
    let reporter = JsonReporter::new(out.clone());
    events.iter().for_each(|event| reporter.event(event));
    reporter.finish();
    out.text()
}

#[test]
fn a_successful_run() {
    let expected = block(
        r#"
{"v":1,"app":"sample/go-app","elapsed_ms":10,"event":"app_planned","from":7,"to":8,"version":"1.4.0+8","replicas":2,"up_to_date":false}
{"v":1,"app":"sample/node-app","elapsed_ms":10,"event":"app_planned","from":3,"to":3,"version":"1.1.0+3","replicas":2,"up_to_date":true}
{"v":1,"app":"sample/go-app","elapsed_ms":11,"event":"step_started","step_id":2,"step":"build image `deploy-apps/sample/go-app:r8`","kind":"build","subject":"deploy-apps/sample/go-app:r8","because":"the image has changed"}
{"v":1,"app":"sample/node-app","elapsed_ms":12,"event":"step_started","step_id":9,"step":"confirm that `sample/node-app` is routed to `sample-node-app-r3-1`","kind":"confirm","subject":null,"because":"the image has changed"}
{"v":1,"app":"sample/node-app","elapsed_ms":13,"event":"route_confirmed"}
{"v":1,"app":"sample/node-app","elapsed_ms":13,"event":"step_finished","step_id":9,"step":"confirm that `sample/node-app` is routed to `sample-node-app-r3-1`","took_ms":1}
{"v":1,"app":"sample/node-app","elapsed_ms":14,"event":"app_finished","outcome":"up_to_date","urls":["http://node-app.localhost:8080"],"took_ms":4}
{"v":1,"app":"sample/go-app","elapsed_ms":600,"event":"build_progressed","line":"\u001b[36m#8 RUN go build ./...\u001b[0m\r\n"}
{"v":1,"app":"sample/go-app","elapsed_ms":2110,"event":"image_built","took_ms":2100,"reused":false}
{"v":1,"app":"sample/go-app","elapsed_ms":2110,"event":"step_finished","step_id":2,"step":"build image `deploy-apps/sample/go-app:r8`","took_ms":2100}
{"v":1,"app":"sample/go-app","elapsed_ms":2120,"event":"step_started","step_id":5,"step":"start `sample-go-app-r8-1`","kind":"start","subject":"sample-go-app-r8-1","because":"the image has changed"}
{"v":1,"app":"sample/go-app","elapsed_ms":2200,"event":"replica_started","name":"sample-go-app-r8-1"}
{"v":1,"app":"sample/go-app","elapsed_ms":2500,"event":"replica_healthy","name":"sample-go-app-r8-1","healthy":1,"wanted":2,"took_ms":300}
{"v":1,"app":"sample/go-app","elapsed_ms":2600,"event":"replica_healthy","name":"sample-go-app-r8-2","healthy":2,"wanted":2,"took_ms":400}
{"v":1,"app":"sample/go-app","elapsed_ms":2601,"event":"flipped","generation":43,"took_ms":1}
{"v":1,"app":"sample/go-app","elapsed_ms":2602,"event":"drain_progressed","left":{"requests":14,"websockets":0}}
{"v":1,"app":"sample/go-app","elapsed_ms":8700,"event":"drain_progressed","left":{"requests":1,"websockets":0}}
{"v":1,"app":"sample/go-app","elapsed_ms":8800,"event":"drained","waited":{"requests":14,"websockets":0},"cut":{"requests":0,"websockets":0},"took_ms":6200}
{"v":1,"app":"sample/go-app","elapsed_ms":8900,"event":"replica_stopped","name":"sample-go-app-r7-1","killed":false,"cause":null,"took_ms":90}
{"v":1,"app":"sample/go-app","elapsed_ms":8910,"event":"app_finished","outcome":"completed","urls":["http://go-app.localhost:8080"],"took_ms":8900}
"#,
    );
    assert_eq!(json(&success()).trim_end(), expected);
}

#[test]
fn a_failed_run_with_its_evidence() {
    let expected = block(
        r#"
{"v":1,"app":"sample/go-app","elapsed_ms":10,"event":"app_planned","from":7,"to":8,"version":"1.4.0+8","replicas":2,"up_to_date":false}
{"v":1,"app":"sample/go-app","elapsed_ms":20,"event":"image_built","took_ms":2,"reused":true}
{"v":1,"app":"sample/go-app","elapsed_ms":100,"event":"replica_started","name":"sample-go-app-r8-1"}
{"v":1,"app":"sample/go-app","elapsed_ms":101,"event":"step_started","step_id":6,"step":"await `sample-go-app-r8-1` healthy: 2 × 10.201.4.7:8080/healthz within 30s","kind":"gate","subject":"sample-go-app-r8-1","because":"the image has changed"}
{"v":1,"app":"sample/go-app","elapsed_ms":30100,"event":"step_failed","step_id":6,"step":"await `sample-go-app-r8-1` healthy: 2 × 10.201.4.7:8080/healthz within 30s","error":"`sample-go-app-r8-1` was not healthy within 30s","hint":"see all of its output with `deploy-apps logs go-app`","details":[{"title":"last probe answer","lines":["status 503","no database\u0007"]},{"title":"last log lines of `sample-go-app-r8-1`","lines":["\u001b[2Jlistening on :8080","  retry\tin 1s"]}]}
{"v":1,"app":"sample/go-app","elapsed_ms":30110,"event":"step_started","step_id":4,"step":"remove `sample-go-app-r8-1`","kind":"remove","subject":"sample-go-app-r8-1","because":"the image has changed"}
{"v":1,"app":"sample/go-app","elapsed_ms":30300,"event":"undone","step_id":4,"step":"create `sample-go-app-r8-1`"}
{"v":1,"app":"sample/go-app","elapsed_ms":30310,"event":"app_finished","outcome":"rolled_back","urls":[],"took_ms":30300}
"#,
    );
    assert_eq!(json(&failure()).trim_end(), expected);
}

#[test]
fn a_run_that_waited_for_its_lease() {
    let expected = block(
        r#"
{"v":1,"app":"sample/go-app","elapsed_ms":0,"event":"lease_awaited","owner":"ben","host":"ci-3","age_ms":12000}
{"v":1,"app":"sample/go-app","elapsed_ms":1000,"event":"lease_awaited","owner":"ben","host":"ci-3","age_ms":13000}
{"v":1,"app":"sample/go-app","elapsed_ms":11000,"event":"lease_awaited","owner":"ben","host":"ci-3","age_ms":23000}
{"v":1,"app":"sample/go-app","elapsed_ms":12000,"event":"app_planned","from":null,"to":1,"version":"1.0.0+1","replicas":2,"up_to_date":false}
{"v":1,"app":null,"elapsed_ms":12001,"event":"step_started","step_id":3,"step":"build image `deploy-apps/proxy:1f2e3d4c5b6a7988`","kind":"build","subject":"deploy-apps/proxy:1f2e3d4c5b6a7988","because":"the image has changed"}
{"v":1,"app":null,"elapsed_ms":17001,"event":"image_built","took_ms":5000,"reused":false}
{"v":1,"app":null,"elapsed_ms":17002,"event":"step_finished","step_id":3,"step":"build image `deploy-apps/proxy:1f2e3d4c5b6a7988`","took_ms":5000}
{"v":1,"app":"sample/go-app","elapsed_ms":17500,"event":"replica_healthy","name":"sample-go-app-r8-1","healthy":1,"wanted":2,"took_ms":400}
{"v":1,"app":"sample/go-app","elapsed_ms":17501,"event":"flipped","generation":1,"took_ms":1}
{"v":1,"app":"sample/go-app","elapsed_ms":17502,"event":"app_finished","outcome":"completed","urls":["http://go-app.localhost:8080"],"took_ms":17500}
"#,
    );
    assert_eq!(json(&lease_awaited()).trim_end(), expected);
}

#[test]
fn a_cancelled_run() {
    let expected = block(
        r#"
{"v":1,"app":"sample/go-app","elapsed_ms":10,"event":"app_planned","from":7,"to":8,"version":"1.4.0+8","replicas":2,"up_to_date":false}
{"v":1,"app":"sample/node-app","elapsed_ms":10,"event":"app_planned","from":3,"to":4,"version":"1.2.0+4","replicas":2,"up_to_date":false}
{"v":1,"app":"sample/node-app","elapsed_ms":500,"event":"flipped","generation":44,"took_ms":1}
{"v":1,"app":"sample/node-app","elapsed_ms":501,"event":"drain_progressed","left":{"requests":2,"websockets":1}}
{"v":1,"app":"sample/go-app","elapsed_ms":502,"event":"step_started","step_id":4,"step":"create `sample-go-app-r8-1` from `abc` at 10.201.4.7","kind":"create","subject":"sample-go-app-r8-1","because":"the image has changed"}
{"v":1,"app":null,"elapsed_ms":800,"event":"cancel_requested"}
{"v":1,"app":"sample/go-app","elapsed_ms":900,"event":"undone","step_id":4,"step":"create `sample-go-app-r8-1`"}
{"v":1,"app":"sample/go-app","elapsed_ms":910,"event":"app_finished","outcome":"cancelled","urls":[],"took_ms":900}
{"v":1,"app":"sample/node-app","elapsed_ms":920,"event":"left_behind","step_id":12,"what":"`sample-node-app-r3-1`","error":"it was still draining"}
{"v":1,"app":"sample/node-app","elapsed_ms":930,"event":"app_finished","outcome":"cancelled","urls":[],"took_ms":920}
"#,
    );
    assert_eq!(json(&cancelled()).trim_end(), expected);
}

#[test]
fn a_stuck_run() {
    let expected = block(
        r#"
{"v":1,"app":null,"elapsed_ms":5,"event":"warned","message":"service `redis` has no `healthcheck`: it counts as ready at once"}
{"v":1,"app":"sample/go-app","elapsed_ms":10,"event":"app_planned","from":7,"to":8,"version":"1.4.0+8","replicas":2,"up_to_date":false}
{"v":1,"app":"sample/go-app","elapsed_ms":400,"event":"flipped","generation":43,"took_ms":1}
{"v":1,"app":"sample/go-app","elapsed_ms":60400,"event":"drained","waited":{"requests":5,"websockets":2},"cut":{"requests":1,"websockets":1},"took_ms":60000}
{"v":1,"app":"sample/go-app","elapsed_ms":70400,"event":"replica_stopped","name":"sample-go-app-r7-1","killed":true,"cause":"unhandled","took_ms":10000}
{"v":1,"app":"sample/go-app","elapsed_ms":71000,"event":"step_failed","step_id":8,"step":"flip `sample/go-app`","error":"the proxy `deploy-apps` does not answer: connection closed","hint":null,"details":[]}
{"v":1,"app":"sample/go-app","elapsed_ms":72000,"event":"undo_failed","step_id":8,"step":"flip `sample/go-app` to `sample-go-app-r7-1`","error":"the proxy `deploy-apps` does not answer: connection closed"}
{"v":1,"app":"sample/go-app","elapsed_ms":72010,"event":"app_finished","outcome":"stuck","urls":[],"took_ms":72000}
"#,
    );
    assert_eq!(json(&stuck()).trim_end(), expected);
}

#[test]
fn every_line_is_an_object_of_version_1_with_app_time_and_event() {
    for run in [success(), failure(), cancelled(), stuck(), lease_awaited()] {
        for line in json(&run).lines() {
            let object: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(object["v"], 1);
            assert!(object["elapsed_ms"].is_u64() && object["event"].is_string(), "{line}");
            assert!(object["app"].is_null() || object["app"].is_string(), "{line}");
            assert!(!line.contains("\"secs\""), "{line}");
        }
    }
}
