//! A deploy of several compose files, with a profile and an env file, and what `config` prints of them.

use serde_json::Value;

use crate::harness::{App, Scenario, docker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_out_of_several_files_is_deployed_as_config_prints_it() {
    let host = Scenario::new("several").app(App::new("web")).start().await;
    let folder = host.folder();
    let lines =
        "services:\n  web:\n    profiles: [live]\n    environment: { MARK: \"${MARK}\" }\n    env_file: raw.env\n";
    std::fs::write(folder.join("compose.override.yaml"), lines).expect("a file");
    std::fs::write(folder.join("raw.env"), "FROM_FILE='it is'\n").expect("a file");
    std::fs::write(folder.join("mark.env"), "MARK=from the env file\n").expect("a file");

    // Nobody asked for the profile, so nothing takes part; naming the app brings its profile.
    let services = host.cli(&["config", "--services", "--env-file", "mark.env"]).run().await.succeeded();
    assert_eq!(services.stdout, "", "{services}");
    let printed = host.cli(&["--env-file", "mark.env", "--profile", "live", "config", "--format", "json"]).run().await;
    let printed = printed.succeeded().stdout;
    let model: Value = serde_json::from_str(&printed).expect("one JSON document");
    assert_eq!(model["services"]["web"]["environment"]["MARK"], "from the env file");

    host.deploy(&["web", "--env-file", "mark.env"]).await.succeeded();
    let container = format!("{}-web-r1-1", host.name());
    let variables = docker(&["inspect", "-f", "{{json .Config.Env}}", &container]);
    assert!(
        variables.contains("\"MARK=from the env file\"") && variables.contains("\"FROM_FILE=it is\""),
        "{variables}"
    );

    // What was printed is a compose file of its own, and means the same.
    std::fs::write(folder.join("printed.json"), &printed).expect("a file");
    let again = host.cli(&["-f", "printed.json", "--profile", "live", "config", "--format", "json"]).run().await;
    assert_eq!(again.succeeded().stdout, printed);
    let same = host.deploy(&["-f", "printed.json", "web"]).await.succeeded();
    assert!(same.stdout.contains("up to date (routes confirmed)"), "{same}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_an_app_is_printed_and_a_deploy_says_what_to_add() {
    let host = Scenario::new("several").start().await;
    let file = format!("name: {}\nservices: {{ db: {{ image: db:1 }} }}\n", host.name());
    std::fs::write(host.folder().join("compose.yaml"), file).expect("a file");
    host.cli(&["config", "--quiet"]).run().await.succeeded();
    let refused = host.deploy(&["db"]).await.exited(2);
    let expected = format!(
        "error: project `{}` has no apps: no service that takes part has an `x-deploy-apps` block\n\
         hint: add `x-deploy-apps: {{ port: 8080 }}` to the service that is to be rolled, or let one take part with `--profile`",
        host.name()
    );
    assert_eq!(refused.stderr.trim_end(), expected);
    let stray = host.cli(&["--force", "config"]).run().await.exited(2);
    assert!(stray.stderr.contains("`--force` must stand after `config`, if that takes it"), "{stray}");
}
