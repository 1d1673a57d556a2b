//! No text makes the loader panic, hang or use unbounded memory.

use proptest::prelude::*;

use super::Case;
use crate::compose::config;
use crate::compose::load;
use crate::compose::request::LoadRequest;
use crate::compose::text::dotenv;
use crate::compose::text::interpolate::{Lookup, interpolate};
use crate::compose::text::shell_words;

/// Uses most keys, so that mutations reach every reader.
const FULL: &str = r#"name: sample
x-deploy-apps: { proxy: { name: p, http_port: 80, bind: 127.0.0.1, subnet: 10.213.0.0/20, base_image: a } }
x-common: &common { init: true, ulimits: { nofile: { soft: 1, hard: 2 }, nproc: 5 } }
services:
  web:
    <<: *common
    build: { context: ./app, dockerfile: D, args: [A=1, B], target: t, labels: { a: b }, extra_hosts: ["a:b"] }
    command: run "a b" 'c'
    environment: [A=1, B, "C=${X:-d}"]
    healthcheck: { test: ["CMD", "true"], interval: 1m30s, retries: 3 }
    deploy: { replicas: 2, update_config: { order: stop-first, delay: 1s }, resources: { limits: { cpus: "0.5", memory: 64m } } }
    volumes: ["data:/data:ro", { type: bind, source: ~/x, target: /x }, { type: tmpfs, target: /t, tmpfs: { size: 1m } }]
    networks: { default: { aliases: [w] }, back: }
    depends_on: { db: { condition: service_healthy, required: false } }
    x-deploy-apps:
      port: 80
      routes: [{ host: "*.example.com", path: /a/b/, strip: true }, { path: / }]
      health: { path: /healthz?x=1, successes: 2, interval: 20ms }
      drain: { timeout: 60s, websocket_timeout: 5m }
      release: { command: ["./migrate", "up"], timeout: 5m }
      version: 1.2
  db:
    image: "r.example.com:5000/db:1@sha256:00"
    ports: ["127.0.0.1:80-82:90-92/udp", { target: 5, published: 6 }]
    logging: { options: { max-size: 10m } }
    restart: on-failure:3
    tmpfs: /tmp:size=64m
networks: { back: { internal: true } }
volumes: { data: { external: true, name: d } }
"#;

/// Renders errors too, since that processes the text.
fn try_load(text: &str) -> Result<(), String> {
    let case = Case::new(text);
    load(&case.request()).map(|_| ()).map_err(|error| {
        assert!(!error.findings.is_empty());
        error.to_string()
    })
}

#[test]
fn the_full_file_is_valid() {
    assert_eq!(try_load(FULL), Ok(()));
}

fn snippet() -> impl Strategy<Value = String> {
    const PIECES: [&str; 34] = [
        "*common",
        "&a",
        "<<:",
        "${",
        "}",
        "$$",
        "[",
        "]",
        "{",
        "}",
        ":",
        "- ",
        "\n",
        "\t",
        "\"",
        "'",
        "!!x",
        "? ",
        "|",
        ">",
        "#",
        "---",
        "\u{feff}",
        "\0",
        "999999999999999999999",
        "-1",
        "~",
        "ä",
        "\r",
        "%",
        "/..",
        "1-65535",
        "null",
        "${A:-${B:?}}",
    ];
    prop_oneof![proptest::sample::select(&PIECES[..]).prop_map(str::to_owned), any::<String>(), Just(String::new())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_loaded_or_refused(text in any::<String>()) {
        let _ = try_load(&text);
    }

    #[test]
    fn a_damaged_file_is_loaded_or_refused(at in 0..FULL.len(), cut in 0..12_usize, put in snippet()) {
        let start = FULL.floor_char_boundary(at);
        let end = FULL.floor_char_boundary((at + cut).min(FULL.len())).max(start);
        let _ = try_load(&format!("{}{put}{}", &FULL[..start], &FULL[end..]));
    }

    #[test]
    fn a_file_with_two_values_swapped_is_loaded_or_refused(one in 0..40_usize, other in 0..40_usize) {
        let mut lines: Vec<&str> = FULL.lines().collect();
        let (one, other) = (one % lines.len(), other % lines.len());
        lines.swap(one, other);
        let _ = try_load(&lines.join("\n"));
    }

    #[test]
    fn any_small_format_is_read_or_refused(text in "[A-Za-z0-9_ $:{}?+='\"\\\\#\n\t.;-]{0,60}") {
        let _ = interpolate(&text, &mut Lookup::new(&|name| (name.len() > 1).then(|| name.to_owned())));
        let _ = dotenv::parse(&text, &|_| None);
        let _ = shell_words::split(&text);
    }

    /// A file that loads is printed, and the output has the same meaning.
    #[test]
    fn any_two_files_are_merged_and_printed_or_refused(
        at in 0..FULL.len(), cut in 0..12_usize, put in snippet(), from in 0..40_usize, to in 0..40_usize,
    ) {
        let (start, end) = (FULL.floor_char_boundary(at), FULL.floor_char_boundary((at + cut).min(FULL.len())));
        let damaged = format!("{}{put}{}", &FULL[..start], &FULL[end.max(start)..]);
        let lines: Vec<&str> = FULL.lines().collect();
        let (from, to) = (from % lines.len(), to % lines.len());
        // A part of the same file, with the same indentation.
        let part: Vec<&str> = ["services:", "  web:"].into_iter().chain(lines[from.min(to)..=from.max(to)].iter().copied()).collect();
        let case = Case::new(&damaged).file("over.yaml", &part.join("\n")).env("COMPOSE_FILE", "compose.yaml:over.yaml");
        if let Ok(first) = config(&case.request(), true) {
            let again = Case::new(&first.yaml());
            let request = LoadRequest {
                files: vec!["compose.yaml".into()],
                project_folder: Some(case.path("").into()),
                ..again.request()
            };
            let second = config(&request, true).unwrap_or_else(|error| panic!("{error}\n{}", first.yaml()));
            prop_assert_eq!(second.model, first.model);
        }
        let _ = config(&case.request(), false);
    }
}
