//! Generates files from test folders.

use std::path::Path;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

#[test]
fn a_port_is_what_the_last_stage_exposes() {
    let port = |text: &str| port_of(text).number;
    assert_eq!(port("FROM a\nEXPOSE 3000\nFROM b\nexpose 8081/tcp 9090\n"), 8081);
    assert_eq!(port("FROM a\nEXPOSE 53/udp 5000\n"), 5000);
    assert_eq!(port("FROM a\nENV A=1 \\\n  PORT=4000\n"), 4000);
    assert_eq!(port("FROM a\nENV PORT 4001\n"), 4001);
    assert_eq!(port_of("FROM a\nEXPOSE $PORT\n"), Port { number: 8080, from: None });
    assert_eq!(port_of("FROM a\nEXPOSE 3000\nFROM b\n").from, None);
}

#[test]
fn a_folder_with_a_dockerfile_is_one_app() {
    let folder = folder(&[
        ("Dockerfile", "FROM a\nEXPOSE 3000\nHEALTHCHECK CMD true\n"),
        ("src/server.js", "app.get('/health', ok)"),
        ("src/server.test.js", "get('/healthz')"),
        ("node_modules/x/index.js", "get('/healthz')"),
        ("package.json", "{}"),
        ("sub/Dockerfile", "FROM b\n"),
    ]);
    let found = look(folder.path());
    assert_eq!(found.language, Some(Language::Node));
    let [app] = &found.apps[..] else { panic!("{found:?}") };
    assert_eq!((app.port.number, app.healthcheck), (3000, true));
    assert_eq!(app.health, Some(("/health", "src/server.js".into())));
}

#[test]
fn a_folder_of_apps_has_one_app_each() {
    let folder = folder(&[
        ("apps/api/Dockerfile", "FROM a\n"),
        ("apps/My Shop/Dockerfile", "FROM a\nEXPOSE 81\n"),
        ("other/api/Dockerfile", "FROM a\nHEALTHCHECK NONE\n"),
        ("node_modules/x/Dockerfile", "FROM a\n"),
        (".hidden/Dockerfile", "FROM a\n"),
    ]);
    let found = look(folder.path());
    let names: Vec<&str> = found.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["my-shop", "api", "api-2"]);
    assert!(found.apps.iter().all(|app| !app.healthcheck));
    let text = compose_file(&Desired { project: "shop".to_owned(), ..Desired::default() }, &found.apps);
    assert!(text.contains("    build: \"./apps/My Shop\"\n"), "{text}");
}

#[test]
fn names_are_valid_host_names() {
    assert_eq!(app_name("My_App.v2"), "my-app-v2");
    assert_eq!(app_name("-é-"), "app");
}

#[test]
fn the_whole_file() {
    let app = FoundApp {
        name: "shop".to_owned(),
        folder: "".into(),
        port: Port { number: 8080, from: None },
        healthcheck: true,
        health: Some(("/healthz", "main.go".into())),
    };
    let desired = Desired { project: "shop".to_owned(), ..Desired::default() };
    let text = compose_file(&desired, std::slice::from_ref(&app));
    let expected = "\
# Written by `deploy-apps init`, and yours from now on. It is plain Compose; what Compose has no word for stands in the
# `x-deploy-apps` blocks, which other tools ignore. `deploy-apps schema compose` helps editors to complete it.
name: shop

x-deploy-apps:
  # One proxy per host, shared by all projects. Only this port is published.
  proxy: { http_port: \"${HTTP_PORT:-8080}\" }
  # Who is told when a deploy has ended:
  # notify: [{ url: \"${DEPLOY_WEBHOOK}\", on: [failure] }]

services:
  shop:
    build: .
    # From the stop signal to the kill. It may be short: a replica is stopped after it was drained.
    stop_grace_period: 10s
    deploy:
      # A deploy drops no request with one; with two, the death of one is not felt either.
      replicas: 1
    x-deploy-apps:
      # A guess: the Dockerfile has no EXPOSE. Write where the app listens.
      port: 8080
      # Which requests are the app's. A path works too: - { path: /shop, strip: true }
      routes:
        - host: shop.localhost
      # A new replica gets traffic after two good answers in a row, seen by the proxy itself.
      # The path is a guess: main.go names it.
      health: { path: /healthz, timeout: 30s }
      # The image has a HEALTHCHECK; then both must agree.
      # How long open requests of the old release may take to finish; WebSockets have no natural end.
      drain: { timeout: 60s, websocket_timeout: 5m }
";
    assert_eq!(text, expected);
    let desired = Desired { port: Some(81), host: Some("shop.example.com".to_owned()), ..desired };
    let text = compose_file(&desired, &[app]);
    assert!(text.contains("      port: 81\n") && text.contains("        - host: shop.example.com\n"), "{text}");
}

fn made(files: &[(&str, &str)], language: Language) -> Result<String, String> {
    let folder = folder(files);
    dockerfile(folder.path(), language).map(|made| made.text)
}

#[test]
fn a_dockerfile_uses_the_facts_of_the_folder() {
    let go = made(&[("go.mod", "module x\n\ngo 1.24.4\n"), ("cmd/shop/main.go", "package main\n")], Language::Go);
    let go = go.expect("made");
    assert!(go.starts_with("FROM golang:1.24 AS build\n") && go.contains("-o /out/app ./cmd/shop\n"), "{go}");
    assert_eq!(port_of(&go).number, 8080);
    let node = [
        ("package.json", "{\"scripts\":{\"start\":\"node --enable-source-maps web.js\"}}"),
        ("package-lock.json", "{}"),
    ];
    let node = made(&node, Language::Node).expect("made");
    assert!(
        node.contains("RUN npm ci --omit=dev\n")
            && node.ends_with("CMD [\"node\",\"--enable-source-maps\",\"web.js\"]\n"),
        "{node}"
    );
    let python = [("requirements.txt", "fastapi\nuvicorn[standard]==0.30\n"), ("main.py", "app = FastAPI()\n")];
    let python = made(&python, Language::Python).expect("made");
    assert!(
        python.ends_with("CMD [\"uvicorn\", \"main:app\", \"--host\", \"0.0.0.0\", \"--port\", \"8000\"]\n"),
        "{python}"
    );
}

#[test]
fn a_dockerfile_without_facts_is_refused() {
    let refused = |files: &[(&str, &str)], language| made(files, language).expect_err("too little is known");
    assert_eq!(refused(&[("go.mod", "module x\n")], Language::Go), "no `package main` is in this folder or in `cmd/`");
    let two = [("go.mod", ""), ("cmd/a/main.go", "package main\n"), ("cmd/b/main.go", "package main\n")];
    assert_eq!(refused(&two, Language::Go), "there is more than one program: ./cmd/a, ./cmd/b");
    assert!(refused(&[("package.json", "{}")], Language::Node).starts_with("`package.json` has neither"));
    let vite = [("package.json", "{\"scripts\":{\"start\":\"vite && node x\"}}")];
    assert!(refused(&vite, Language::Node).starts_with("`package.json` has neither"));
    assert_eq!(
        refused(&[("requirements.txt", "")], Language::Python),
        "none of `main.py`, `app.py`, `server.py` and `wsgi.py` is there"
    );
    assert!(refused(&[], Language::Rust).contains("for Rust needs more"));
    assert!(look(Path::new("/nowhere/at/all")).apps.is_empty());
}
