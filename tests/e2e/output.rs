//! Everything that is said, for people and for programs, compared as a whole.

use crate::harness::{App, Scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_in_a_log_is_told_in_plain_lines() {
    let host = Scenario::new("plain").app(App::new("web")).start().await;
    let output = host.deploy(&["web"]).await.succeeded();
    host.snapshot("first-deploy.stderr", &output.stderr);
    host.snapshot("first-deploy.stdout", &output.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_a_stream_is_as_its_schema_says() {
    let mut host = Scenario::new("stream").app(App::new("web")).start().await;
    host.deploy(&["web", "--format", "json"]).await.succeeded().streamed();
    host.change("web", |app| app.fault("exit"));
    let failed = host.deploy(&["web", "--format", "json"]).await.exited(1).streamed();
    assert_eq!(failed.events("step_failed").len(), 1, "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_read_why_a_command_did_not_get_to_its_work() {
    let host = Scenario::new("errors").app(App::new("front")).start().await;

    let unknown = host.deploy(&["frnt", "--format", "json"]).await.exited(2).streamed();
    let error = &unknown.document("error")["error"];
    assert_eq!((&error["code"], &error["exit"]), (&"usage".into(), &2.into()), "{unknown}");
    assert_eq!(error["findings"][0]["hint"], "did you mean `front`?", "{unknown}");

    let wrong = host.deploy(&["--no-such-option", "--format=json"]).await.exited(2).streamed();
    let message = &wrong.document("error")["error"]["message"];
    assert_eq!(message, "unexpected argument '--no-such-option' found", "{wrong}");

    std::fs::write(host.folder().join("compose.yaml"), "services:\n  web:\n    comand: run\n").expect("a file");
    let invalid = host.deploy(&["web", "--format", "json"]).await.exited(5).streamed();
    let finding = &invalid.document("error")["error"]["findings"][1];
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["column"]),
        (&"compose.yaml".into(), &3.into(), &5.into()),
        "{invalid}"
    );
}
