//! The GitHub action's scripts, run as the runner runs them, and the packages.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{App, Host, Output, Scenario, binary, docker};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// A runner's temporary folder, with a release in it that has this binary.
struct Runner {
    temp: TempDir,
}

impl Runner {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("a folder");
        let release = temp.path().join("releases/v0.1.0");
        std::fs::create_dir_all(&release).expect("a folder");
        let name = format!("deploy-apps-{}-unknown-linux-musl", std::env::consts::ARCH);
        std::fs::copy(binary(), release.join(&name)).expect("the binary");
        let sums = Command::new("sha256sum").arg(&name).current_dir(&release).output().expect("sha256sum");
        std::fs::write(release.join("SHA256SUMS"), sums.stdout).expect("written");
        Self { temp }
    }

    fn run(&self, name: &str, folder: &Path, env: &[(&str, &str)]) -> Output {
        let temp = self.temp.path();
        let path = format!("{}:{}", temp.join("deploy-apps/bin").display(), std::env::var("PATH").expect("a path"));
        let mut command = Command::new(script(name));
        command.current_dir(folder).env("PATH", path).env("RUNNER_TEMP", temp).env("GITHUB_ACTIONS", "true");
        command.env("GITHUB_PATH", temp.join("path")).env("GITHUB_OUTPUT", temp.join("output"));
        command.env("RELEASES", format!("file://{}", temp.join("releases").display()));
        command.envs(env.iter().copied()).output().expect("the script starts").into()
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.temp.path().join("output")).unwrap_or_default()
    }
}

async fn deployed(runner: &Runner) -> Host {
    // On the heap: together with the test it is more than a test thread has room for.
    let host = Box::pin(Scenario::new("action").app(App::new("web")).app(App::new("back")).start()).await;
    runner.run("action/install.sh", host.folder(), &[("VERSION", "0.1.0")]).succeeded().says("deploy-apps 0.1.0");
    host
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_action_installs_plans_and_deploys() {
    let runner = Runner::new();
    let host = deployed(&runner).await;
    let run = |env: &[(&str, &str)]| runner.run("action/run.sh", host.folder(), env);
    let plan = run(&[("COMMAND", "plan"), ("ARGS", "--format=markdown"), ("OUTPUT_FILE", "plan.md")]).succeeded();
    let markdown = std::fs::read_to_string(host.folder().join("plan.md")).expect("the plan");
    assert!(markdown.starts_with("<!-- deploy-apps plan ") && plan.stdout == markdown, "{plan}");
    assert!(runner.output().ends_with("changed=true\n"), "{}", runner.output());

    run(&[("APPS", "web back"), ("ARGS", "--timeout=5m\n--lock-wait=1m\n")]).succeeded();
    host.runs(&["back-r1-1", "web-r1-1"]).await;
    assert!(runner.output().contains("web-release<<"), "{}", runner.output());
    run(&[("COMMAND", "plan")]).succeeded();
    assert!(runner.output().ends_with("changed=false\n"), "{}", runner.output());
    run(&[("COMMAND", "config"), ("ARGS", "--services")]).succeeded().says("web");
    run(&[("COMMAND", "doctor")]);
    run(&[("COMMAND", "prune"), ("APPS", " web ")]).succeeded();
    // As a preview is taken away when its pull request is closed.
    run(&[("COMMAND", "down"), ("ARGS", "--yes\n--proxy")]).succeeded();
    host.runs(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_of_the_action_are_never_shell_code_and_the_key_is_gone_afterwards() {
    let runner = Runner::new();
    let host = deployed(&runner).await;
    let run = |env: &[(&str, &str)]| runner.run("action/run.sh", host.folder(), env);
    run(&[("APPS", "$(touch hacked) `touch hacked` ;touch hacked")]).exited(2);
    run(&[("COMMAND", "plan;touch hacked")]).exited(2).says("is not one that this action runs");
    run(&[("APPS", "web"), ("ARGS", "--file=$(touch hacked)")]).exited(5);
    // Names are never options: who chooses the apps does not choose the engine.
    for apps in ["--host=tcp://127.0.0.1:1", "-H tcp://127.0.0.1:1 web", "web --force"] {
        run(&[("APPS", apps)]).exited(2).says("unknown app");
    }
    assert!(!host.folder().join("hacked").exists());

    run(&[("APPS", "web"), ("SSH_KEY", "k")]).exited(2).says("needs `ssh-known-hosts`");
    // An `ssh` that tells what it was given, and whether others could read it.
    let fake = runner.temp.path().join("deploy-apps/bin/ssh");
    std::fs::write(
        &fake,
        "#!/bin/sh\necho \"$@\" >>\"$RUNNER_TEMP/seen\"\nstat -c %a \"$2\" >>\"$RUNNER_TEMP/seen\"\nexit 1\n",
    )
    .expect("written");
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).expect("made executable");
    let env = [
        ("APPS", "web"),
        ("HOST", "ssh://nobody@host.invalid"),
        ("SSH_KEY", "secret-key"),
        ("SSH_KNOWN_HOSTS", "x y z"),
    ];
    let output = run(&env);
    assert_ne!(output.code, Some(0), "{output}");
    assert!(!output.to_string().contains("secret-key"), "{output}");
    assert!(!runner.temp.path().join("deploy-apps/ssh").exists(), "the key is removed\n{output}");
    if let Ok(seen) = std::fs::read_to_string(runner.temp.path().join("seen")) {
        assert!(seen.contains("StrictHostKeyChecking=yes") && seen.contains("\n600\n"), "{seen}");
    }
}

#[test]
fn what_the_action_and_the_workflows_call_can_be_executed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workflows = std::fs::read_dir(root.join(".github/workflows")).expect("the workflows");
    let files = workflows.map(|file| file.expect("a file").path()).chain([root.join("action.yml")]);
    let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file).expect("readable")).collect();
    let words = texts.iter().flat_map(|text| text.split(|c: char| c.is_whitespace() || "\"'".contains(c)));
    let called: Vec<&str> = words
        .map(|word| word.trim_start_matches("$SOURCE/"))
        .filter(|word| word.starts_with("packaging/") || word.starts_with("tests/"))
        .filter(|word| !word.ends_with("Dockerfile"))
        .collect();
    assert!(called.len() >= 6, "{called:?}");
    for script in called {
        let mode =
            std::fs::metadata(root.join(script)).unwrap_or_else(|error| panic!("{script}: {error}")).permissions();
        assert_eq!(mode.mode() & 0o111, 0o111, "{script}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_is_not_what_was_released_is_refused() {
    let runner = Runner::new();
    let folder = runner.temp.path().to_owned();
    let sums = folder.join("releases/v0.1.0/SHA256SUMS");
    let good = std::fs::read_to_string(&sums).expect("the sums");
    std::fs::write(&sums, good.replace(&good[..4], "0000")).expect("written");
    let install = |version: &str| runner.run("action/install.sh", &folder, &[("VERSION", version)]);
    install("0.1.0").exited(1).says("is not the file that SHA256SUMS names");
    install("9.9.9").exited(1).says("release 9.9.9 has no ");
    install("../../etc").exited(1).says("is not a version");
    assert!(!folder.join("deploy-apps/bin/deploy-apps").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_installs_into_a_bare_debian() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new(script("deb"))
        .args([&binary().display().to_string(), "0.1.0", "amd64", &folder.path().display().to_string()])
        // What is built for tests is several times as large as what is released, and compressing it takes a minute.
        .env("DPKG_DEB_COMPRESSOR_TYPE", "none")
        .output()
        .expect("the script starts");
    let made = Output::from(made).succeeded();
    let file = made.stdout.trim();
    let host = Scenario::new("deb").app(App::new("web")).start().await;
    let name = format!("{}-deb", host.name());
    // Without a network: what it depends on must be there already.
    docker(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        "debian:trixie-slim",
        "sh",
        "-ec",
        "dpkg --force-depends -i /deploy-apps.deb && deploy-apps --version",
    ]);
    docker(&["cp", file, &format!("{name}:/deploy-apps.deb")]);
    let said = docker(&["start", "-a", &name]);
    docker(&["rm", "-f", &name]);
    assert!(said.trim_end().ends_with("deploy-apps 0.1.0"), "{said}");
}
