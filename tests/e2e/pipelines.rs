//! What a pipeline sees of a run: GitHub's groups, annotations, summary and outputs; a time limit; how much is said.

use crate::harness::{App, Cli, Host, Scenario, none_lost};

/// As GitHub's runner sets it up: marks are asked for, and files are there to be appended to.
fn on_github(host: &Host, args: &[&str]) -> Cli {
    let file = |name: &str| host.folder().join(name).display().to_string();
    host.cli(args)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", &host.folder().parent().expect("a parent").display().to_string())
        .env("GITHUB_STEP_SUMMARY", &file("summary.md"))
        .env("GITHUB_OUTPUT", &file("output"))
}

fn taken(host: &Host, name: &str) -> String {
    let path = host.folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    drop(std::fs::remove_file(path));
    // The line that closes a value is random.
    regex::Regex::new("end_[0-9a-f]{32}").expect("a pattern").replace_all(&text, "END").into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn github_gets_groups_annotations_a_summary_and_outputs() {
    let mut host = Scenario::new("github").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let again = on_github(&host, &["web", "--force"]).run().await.succeeded();
    host.snapshot("github-deploy.log", &again.stderr);
    host.snapshot("github-deploy.md", &taken(&host, "summary.md"));
    host.snapshot("github-deploy.output", &taken(&host, "output"));

    let plan = on_github(&host, &["plan"]).run().await.succeeded();
    assert!(plan.stdout.ends_with("nothing to do: 1 app up to date\n"), "{plan}");
    assert_eq!(taken(&host, "output"), "changed<<END\nfalse\nEND\n");
    assert!(taken(&host, "summary.md").starts_with("<!-- deploy-apps plan "));

    host.change("web", |app| app.fault("exit"));
    let load = host.steady_load("web").await;
    let failed = on_github(&host, &["web"]).run().await.exited(1);
    none_lost(&load.stop().await);
    let error = failed.stderr.lines().find(|line| line.starts_with("::error ")).unwrap_or_default();
    assert!(error.starts_with("::error title=web::") && error.contains("%0A"), "one line with all evidence\n{failed}");
    assert!(taken(&host, "summary.md").contains("❌ failed, rolled back"), "{failed}");
    assert!(taken(&host, "output").contains("web-outcome<<END\nrolled_back\nEND\n"), "{failed}");

    std::fs::write(host.folder().join("compose.yaml"), "services:\n  web:\n    image: a:1\n    comand: 50%\n")
        .expect("a file");
    let invalid = on_github(&host, &["web"]).run().await.exited(5);
    let folder = host.folder().file_name().expect("a name").to_string_lossy().into_owned();
    let place = format!("::error file={folder}/compose.yaml,line=4,col=5::unknown key `comand` in `service`%0Ahint: ");
    assert!(invalid.stderr.contains(&place), "{invalid}");
    assert!(taken(&host, "summary.md").starts_with("### Deploy failed\n"), "{invalid}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_takes_too_long_is_undone_with_a_code_of_its_own() {
    let mut host = Scenario::new("timeout").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| app.fault("unhealthy"));
    let load = host.steady_load("web").await;
    let output = host.deploy(&["web", "--timeout", "3s"]).await.exited(124);
    none_lost(&load.stop().await);
    host.is_clean(&["web-r1-1"]).await;
    let end = "error: not done within 3s, so it was cancelled\n\n\
               hint: see above what serves; give it more time with `--timeout`, and run it again\n";
    assert!(output.stderr.ends_with(end), "{output}");
    let stream = host.deploy(&["web", "--timeout", "3s", "--format", "json"]).await.exited(124).streamed();
    assert_eq!(stream.events("failed")[0]["error"]["code"], "timed_out", "{stream}");
    host.deploy(&["web", "--timeout", "soon"]).await.exited(2).says("a duration with its unit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_says_only_results_and_verbose_each_step() {
    let host = Scenario::new("loud").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let quiet = host.deploy(&["web", "--force", "--quiet"]).await.succeeded().says("r1 → r2");
    assert_eq!(quiet.stderr, "", "{quiet}");
    let verbose = host.deploy(&["web", "--force", "--verbose"]).await.succeeded();
    verbose.says("flip `").says(" — a redeploy was asked for");
    host.deploy(&["web", "--quiet", "--verbose"]).await.exited(2).says("cannot be used with");
    let coloured = host.cli(&["web", "--force"]).env("CLICOLOR_FORCE", "1").run().await.succeeded();
    assert!(coloured.stdout.contains("\x1b[32m"), "{coloured}");
    let plain = host.cli(&["web", "--force"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").run().await.succeeded();
    assert!(!plain.to_string().contains('\x1b'), "{plain}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gitlab_gets_sections() {
    let host = Scenario::new("gitlab").app(App::new("web")).start().await;
    let output = host.cli(&["web"]).env("GITLAB_CI", "true").run().await.succeeded();
    let sections = regex::Regex::new("section_(start|end):([0-9]+):deploy_web").expect("a pattern");
    assert_eq!(sections.find_iter(&output.stderr).count(), 2, "{output}");
    assert!(output.stderr.contains("[collapsed=true]\r\x1b[0Kweb r1: what was done\n"), "{output}");
}
