//! `init` over compose files as people have them: what it prints loads beside the file, and services are what they are.
//!
//! A case is one file: lines of what is expected, then the files of a folder, each below a line `== PATH`.
//!
//! - `SERVICE KIND [PORT [HEALTH PATH]]`: each service, all of them
//! - `obstacle SERVICE PLACE`: named with a place that begins so
//! - `rewrites SERVICE NAME VALUE`: the override has the value
//! - `failure`: nothing can be an app

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deploy-apps"));
    let command = command.args(args).current_dir(folder).env_remove("COMPOSE_FILE").env_remove("COMPOSE_PROFILES");
    command.output().expect("the program runs")
}

/// The folder of a case, the name of its main file, and what is expected.
fn laid_out(text: &str) -> (tempfile::TempDir, String, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parts = text.split("\n== ");
    let expected = parts.next().unwrap_or_default().lines().map(str::to_owned).collect();
    let mut main = None;
    for part in parts {
        let (name, body) = part.split_once('\n').expect("a name and a text");
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, format!("{body}\n")).expect("a file");
        main.get_or_insert(name.to_owned());
    }
    (folder, main.expect("a compose file"), expected)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is wrong with one case.
fn judged(text: &str) -> Vec<String> {
    let (folder, main, expected) = laid_out(text);
    let output = run(folder.path(), &["init", "--format", "json"]);
    let said = text_of(&output.stdout) + &text_of(&output.stderr);
    if expected.iter().any(|line| line == "failure") {
        let places = expected.iter().filter_map(|line| line.strip_prefix("obstacle ")?.split(' ').nth(1));
        let mut wrong: Vec<String> =
            places.filter(|place| !said.contains(place)).map(|place| format!("no `{place}` in {said}")).collect();
        wrong.extend((output.status.code() != Some(2)).then(|| format!("exit {:?}", output.status.code())));
        return wrong;
    }
    let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else { return vec![said] };
    let printed = document["files"][0]["text"].as_str().expect("an override").to_owned();
    fs::write(folder.path().join("printed.yaml"), &printed).expect("a file");
    let loaded = run(folder.path(), &["-f", &main, "-f", "printed.yaml", "config", "--format", "json"]);
    if !loaded.status.success() {
        return vec![format!("does not load: {}\n{printed}", text_of(&loaded.stderr))];
    }
    let config: Value = serde_json::from_slice(&loaded.stdout).expect("JSON");
    let obstacles = document["obstacles"].as_array().expect("obstacles");
    let services = document["services"].as_array().expect("services");
    let mut wrong = Vec::new();
    let mut known = 0;
    for line in &expected {
        let words: Vec<&str> = line.split(' ').collect();
        let met = match words[..] {
            ["obstacle", service, place] => obstacles.iter().any(|found| {
                found["service"] == service && found["place"].as_str().is_some_and(|at| at.starts_with(place))
            }),
            ["rewrites", service, name, value] => config["services"][service]["environment"][name] == value,
            [service, kind, ref rest @ ..] => {
                known += 1;
                let service = service.trim_matches('"');
                let block = &config["services"][service]["x-deploy-apps"];
                let kind_is = services.iter().any(|found| found["service"] == service && found["kind"] == kind);
                let port = rest.first().is_none_or(|port| block["port"].to_string().trim_matches('"') == *port);
                let health = rest.get(1).is_none_or(|path| block["health"]["path"] == *path);
                // What is rolled has a block, and nothing else has.
                kind_is && port && health && block.is_null() != matches!(kind, "app" | "worker")
            }
            _ => false,
        };
        wrong.extend((!met).then(|| format!("not so: {line}")));
    }
    if known != services.len() {
        wrong.push(format!("{} services, of which {known} are expected", services.len()));
    }
    if !expected.iter().any(|line| line.starts_with("obstacle")) && !obstacles.is_empty() {
        wrong.push(format!("an obstacle: {obstacles:?}"));
    }
    if !wrong.is_empty() {
        wrong.push(format!("{document:#}"));
    }
    wrong
}

#[test]
fn overrides_load_and_services_are_told_apart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/init_cases");
    let mut files: Vec<_> = fs::read_dir(folder).expect("the cases").flatten().map(|entry| entry.path()).collect();
    files.sort();
    assert!(files.len() >= 44, "only {} cases", files.len());
    let mut wrong = String::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a case");
        for one in judged(&text) {
            wrong.push_str(&format!("{}: {one}\n", file.file_name().expect("a name").display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn init_honours_project_and_file_names() {
    let text = "\n== sub/stack.yml\nservices:\n  web: { image: \"example/web:1\", container_name: web-1, ports: [\"8080:80\"] }\n";
    let (folder, ..) = laid_out(text);
    let printed = run(folder.path(), &["-p", "shop", "-f", "sub/stack.yml", "init"]);
    let override_text = text_of(&printed.stdout);
    assert!(override_text.contains("\nname: shop\n"), "{override_text}");
    assert!(text_of(&printed.stderr).contains("-f sub/stack.yml -f "), "{}", text_of(&printed.stderr));
    let piped = Command::new("sh")
        .args(["-c", &format!("cat sub/stack.yml | {} -f - -p shop init", env!("CARGO_BIN_EXE_deploy-apps"))])
        .current_dir(folder.path())
        .output()
        .expect("a shell");
    assert!(piped.status.success(), "{}", text_of(&piped.stderr));
    assert!(text_of(&piped.stdout).contains("container_name: !reset null"), "{}", text_of(&piped.stdout));
    // A folder without a compose file: the name that was asked for, and what no image needs.
    fs::write(folder.path().join("Dockerfile"), "FROM node:22\nCMD [\"node\", \"x.js\", \"--port=4321\"]\n")
        .expect("a file");
    fs::write(folder.path().join("package.json"), "{}").expect("a file");
    let made = run(folder.path(), &["-p", "shop", "init"]);
    assert!(made.status.success(), "{}", text_of(&made.stderr));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("written");
    assert!(
        read("compose.yaml").contains("\nname: shop\n") && read("compose.yaml").contains("port: 4321\n"),
        "{}",
        read("compose.yaml")
    );
    assert!(read(".dockerignore").contains("node_modules\n") && read(".dockerignore").contains(".git\n"));
}
