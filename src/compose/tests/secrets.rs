//! Secrets and configs: their sources and targets, and that no message contains a value.

use super::super::config;
use super::Case;
use crate::model::identity;

const VALUE: &str = "correct horse battery staple";

fn app(services: &str, rest: &str) -> Case {
    Case::new(&format!("services:\n  web:\n    image: web:1\n    x-deploy-apps: {{ port: 80 }}\n{services}{rest}"))
        .file("key.pem", VALUE)
}

#[test]
fn secrets_have_three_sources_and_a_target() {
    let case = app(
        "    secrets:\n      - key\n      - { source: token, target: api/token, uid: \"1000\", gid: \"1001\", mode: 0440 }\n      \
         - { source: key, target: /etc/tls/key.pem, mode: \"0o400\" }\n    configs:\n      - motd\n      \
         - { source: motd, target: /etc/motd }\n",
        "secrets: { key: { file: ./key.pem }, token: { environment: TOKEN } }\nconfigs: { motd: { content: \"hello ${WHO}\\n\" } }\n",
    )
    .env("TOKEN", "t0k3n")
    .env("WHO", "world");
    let files = case.container().files;
    let shown: Vec<_> = files
        .iter()
        .map(|file| {
            let text = String::from_utf8_lossy(file.content.bytes().unwrap()).into_owned();
            format!("{} {}:{} {:o} {text}", file.target, file.uid, file.gid, file.mode)
        })
        .collect();
    assert_eq!(
        shown,
        [
            &format!("/run/secrets/key 0:0 444 {VALUE}"),
            "/run/secrets/api/token 1000:1001 440 t0k3n",
            &format!("/etc/tls/key.pem 0:0 400 {VALUE}"),
            "/motd 0:0 444 hello world\n",
            "/etc/motd 0:0 444 hello world\n",
        ]
    );
}

#[test]
fn a_changed_secret_is_a_changed_release() {
    let of = |value: &str| {
        let case = app("    secrets: [key]\n", "secrets: { key: { file: key.pem } }\n").file("key.pem", value);
        case.container()
    };
    let (one, other) = (of(VALUE), of("another"));
    assert_ne!(identity("image", &one), identity("image", &other));
    assert_eq!(identity("image", &one), identity("image", &of(VALUE)));
    let texts = [serde_json::to_string(&one).unwrap(), format!("{one:?}")];
    assert!(texts.iter().all(|text| !text.contains("horse") && text.contains("/run/secrets/key")), "{texts:?}");
    assert_eq!(texts[0], serde_json::to_string(&other).unwrap());
}

#[test]
fn a_missing_value_is_refused_with_position() {
    let refuses = |services: &str, rest: &str, message: &str, hint: &str| app(services, rest).refuses(message, hint);
    let key = "    secrets: [key]\n";
    refuses(
        key,
        "",
        "5:15: secret `key` is not declared",
        "add it at the end of the file: `secrets: { key: { file: ./path } }`",
    );
    refuses(
        "    secrets: [keys]\n",
        "secrets: { key: { file: key.pem } }\n",
        "5:15: secret `keys` is not declared",
        "did you mean `key`?",
    );
    refuses(key, "secrets: { key: }\n", "6:12: secret `key` has no value", "add `file: ./path` or `environment: NAME`");
    refuses(
        key,
        "secrets: { key: { file: key.pem, environment: KEY } }\n",
        "6:12: `file` and `environment` of secret `key` exclude each other",
        "keep one of them",
    );
    refuses(
        key,
        "secrets: { key: { environment: KEY } }\n",
        "6:32: variable `KEY` of secret `key` is not set",
        "`export KEY=…`, or put it into `.env`",
    );
    refuses(
        key,
        "secrets: { key: { external: true } }\n",
        "6:19: secret `key` is external, and there is no store that holds it",
        "a single engine keeps none: give its value with `file: ./path` or `environment: NAME`",
    );
    let missing = app(key, "secrets: { key: { file: ./none } }\n");
    let path = missing.path("none");
    missing.refuses(
        &format!("6:25: file `{path}` of secret `key` does not exist"),
        &format!("write it there: `install -m 600 /dev/stdin {path}`"),
    );
    let folder = app(key, "secrets: { key: { file: . } }\n");
    let path = folder.path("");
    folder.refuses(
        &format!("6:25: file `{}` of secret `key` is a folder", path.trim_end_matches('/')),
        "name a file; folders are mounted with `volumes`",
    );
    // A secret that is declared but not used is not read.
    app("", "secrets: { key: { file: ./none }, other: { external: true } }\n").project();
}

#[test]
fn invalid_targets_and_modes_are_refused() {
    let refuses = |grant: &str, message: &str, hint: &str| {
        app(&format!("    secrets: [{grant}]\n"), "secrets: { key: { file: key.pem } }\n").refuses(message, hint);
    };
    let path = "write such as `/etc/app/key.pem`";
    refuses("{ source: key, target: ../x }", "5:38: `../x` is not a path of a file in the container", path);
    refuses("{ source: key, target: /a/ }", "5:38: `/a/` is not a path of a file in the container", path);
    refuses("{ source: key, mode: rw }", "5:36: `mode` must be an octal number such as `0440`, not `rw`", "");
    refuses("{ source: key, uid: root }", "5:35: `uid` must be a whole number from 0 to 4294967295, not `root`", "");
    refuses("{ target: x }", "5:15: a secret needs its `source`", "add `source: NAME`");
    refuses(
        "key, { source: key, target: key }",
        "5:20: two files at `/run/secrets/key`",
        "give one of them another `target`",
    );
}

#[test]
fn a_file_that_is_only_printed_may_lack_values() {
    let case = Case::new(
        "services: { db: { image: db:1, secrets: [a, b], configs: [c], volumes: [{ type: npipe, source: a, target: b }] } }\n\
         secrets: { a: { file: no.txt }, b: { environment: NO } }\nconfigs: { c: { external: true } }\n",
    );
    let shown = config(&case.request(), true).unwrap_or_else(|error| panic!("{error}"));
    let warnings: Vec<String> = shown.warnings.iter().map(|warning| warning.0.message.clone()).collect();
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
    assert_eq!(shown.model["secrets"]["b"]["environment"], "NO");
    assert_eq!(shown.model["configs"]["c"]["external"], true);
}
