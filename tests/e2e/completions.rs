//! Completion as a shell does it: its own script is loaded, its own function called, the answers compared.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{App, DEADLINE, Host, Scenario, binary, eventually};

/// What bash offers for these words, of which the last is not finished.
fn bash(host: &Host, words: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    let script = r#"
        source <("$1" completions bash); shift
        COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_TYPE=9
        function_name=$(complete -p deploy-apps | sed -E 's/.*-F ([^ ]+) .*/\1/')
        "$function_name" deploy-apps "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, "bash"]).arg(binary()).arg("deploy-apps").args(words);
    command.current_dir(host.folder()).stdin(Stdio::null());
    for name in ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"] {
        command.env_remove(name);
    }
    command.envs(env.iter().copied());
    let output = command.output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "a prompt is no place for errors: {words:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter(|line| !line.is_empty()).map(|line| line.trim_end().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bash_completes_apps_commands_and_options() {
    let host =
        Scenario::new("tab").app(App::new("web")).app(App::new("worker-mail")).app(App::new("api")).start().await;
    assert_eq!(bash(&host, &["w"], &[]), ["web", "worker-mail"]);
    assert_eq!(bash(&host, &["deploy", "w"], &[]), ["web", "worker-mail"]);
    // What is named already is not offered again.
    assert_eq!(bash(&host, &["deploy", "web", "w"], &[]), ["worker-mail"]);
    assert_eq!(bash(&host, &["drain"], &[]), ["drain-test"]);
    assert_eq!(bash(&host, &["--form"], &[]), ["--format"]);
    assert!(bash(&host, &["--format", "j"], &[]).contains(&"json".to_owned()));
    assert_eq!(bash(&host, &["schema", "x-"], &[]), ["x-deploy-apps"]);
    assert_eq!(bash(&host, &["completions", "z"], &[]), ["zsh"]);

    // Releases come from the proxy, at this moment.
    assert_eq!(bash(&host, &["rollback", "web", "r"], &[]), [""; 0]);
    host.deploy(&["web"]).await.succeeded();
    host.deploy(&["web", "--force"]).await.succeeded();
    // On a busy machine one answer may be later than a prompt waits.
    for (words, wanted) in
        [(&["rollback", "web", "r"][..], &["r2", "r1"][..]), (&["rollback", "web", "--to", "r1"], &["r1"])]
    {
        let offered = async || Some(bash(&host, words, &[])).filter(|offered| !offered.is_empty());
        assert_eq!(eventually("the releases are offered", DEADLINE, offered).await, wanted);
    }
    // Of the engine that the line itself names.
    assert_eq!(bash(&host, &["-H", "tcp://127.0.0.1:1", "rollback", "web", "r"], &[]), [""; 0]);
    let near = ["--context", "default", "rollback", "web", "r"];
    let offered = async || Some(bash(&host, &near, &[("DOCKER_CONTEXT", "nowhere")])).filter(|told| !told.is_empty());
    assert_eq!(eventually("the releases of the chosen context are offered", DEADLINE, offered).await, ["r2", "r1"]);
    assert_eq!(bash(&host, &["--context", "def"], &[]), ["default"]);
    assert_eq!(bash(&host, &["scale", "w"], &[]), ["web=", "worker-mail="]);

    // The compose file that the line itself names.
    let other = "services: { other: { image: \"a:1\", x-deploy-apps: { port: 80 } } }\n";
    std::fs::write(host.folder().join("other.yaml"), other).expect("a file");
    assert_eq!(bash(&host, &["-f", "other.yaml", "deploy", "o"], &[]), ["other"]);
    assert_eq!(bash(&host, &["deploy", "o"], &[("COMPOSE_FILE", "other.yaml")]), ["other"]);

    // No file, a broken one, an engine that is away: nothing is offered and nothing is said.
    std::fs::write(host.folder().join("compose.yaml"), "services: [\n").expect("a file");
    assert_eq!(bash(&host, &["deploy", "w"], &[]), [""; 0]);
    std::fs::remove_file(host.folder().join("compose.yaml")).expect("removed");
    // Without a file, of the project that the line names, as the engine remembers it.
    let (name, word) = (host.name().to_owned(), "w");
    for words in [&["-p", &name, "restart", word][..], &["-p", &name, "rollback", word]] {
        let offered = async || Some(bash(&host, words, &[])).filter(|offered| !offered.is_empty());
        assert_eq!(eventually("the apps of the engine are offered", DEADLINE, offered).await, ["web"]);
    }
    let releases = async || {
        Some(bash(&host, &["rollback", "web", "r"], &[("COMPOSE_PROJECT_NAME", &name)])).filter(|told| !told.is_empty())
    };
    assert_eq!(eventually("their releases too", DEADLINE, releases).await, ["r2", "r1"]);
    assert_eq!(bash(&host, &["-p", "no-such-project", "restart", "w"], &[]), [""; 0]);
    assert_eq!(bash(&host, &["deploy", "w"], &[("DOCKER_HOST", "tcp://127.0.0.1:1")]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_printed_for_every_shell() {
    let host = Scenario::new("scripts").start().await;
    for (shell, mark) in [
        ("bash", "complete -o nospace"),
        ("zsh", "#compdef deploy-apps"),
        ("fish", "complete --keep-order --exclusive --command deploy-apps"),
        ("elvish", "edit:completion:arg-completer[deploy-apps]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = host.deploy(&["completions", shell]).await.succeeded();
        assert!(output.stdout.contains(mark) && output.stdout.contains("DEPLOY_APPS_COMPLETE"), "{output}");
    }
    host.deploy(&["completions", "csh"]).await.exited(2).says("[possible values: bash, elvish, fish, powershell, zsh]");
    // Asked by a shell that nobody knows.
    let output = host.cli(&["--", "deploy-apps", ""]).env("DEPLOY_APPS_COMPLETE", "csh").run().await.succeeded();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_hangs_does_not_hold_the_prompt() {
    let host = Scenario::new("slow-tab").app(App::new("web")).start().await;
    // Takes connections and never says a word.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let engine = format!("tcp://{}", listener.local_addr().expect("bound"));
    let begun = Instant::now();
    assert_eq!(bash(&host, &["deploy", "w"], &[("DOCKER_HOST", &engine)]), ["web"]);
    bash(&host, &["rollback", "web", ""], &[("DOCKER_HOST", &engine)]);
    // Far above the 300 ms, for a machine with other things to do; a wait for the engine would be minutes.
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_program_is_run_for_a_completion() {
    let host = Scenario::new("tab").app(App::new("web")).start().await;
    // Its version would be what git says.
    let file = "services: { web: { image: web, x-deploy-apps: { port: 80 } } }\n";
    std::fs::write(host.folder().join("compose.yaml"), file).expect("a file");
    let (folder, ran) = (host.folder().join("bin"), host.folder().join("ran"));
    std::fs::create_dir(&folder).expect("a folder");
    let git = folder.join("git");
    std::fs::write(&git, format!("#!/bin/sh\ntouch {}\n", ran.display())).expect("a script");
    std::fs::set_permissions(&git, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"));
    assert_eq!(bash(&host, &["deploy", "w"], &[("PATH", &path)]), ["web"]);
    assert!(!ran.exists(), "git was run");
}
