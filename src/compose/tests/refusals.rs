//! Every refusal says where, what and what to do instead; the texts are compared whole.

use super::Case;

/// A file with one app, whose service has these lines too.
fn app(lines: &str) -> Case {
    Case::new(&format!("services:\n  web:\n    image: web:1\n    x-deploy-apps: {{ port: 80 }}\n{lines}"))
}

#[track_caller]
fn says(case: &Case, expected: &str) {
    let error = case.error();
    assert!(error == expected, "expected:\n{expected}\n\ngot:\n{error}\n");
}

#[test]
fn a_mistyped_key_is_named_with_its_place_and_the_key_it_may_mean() {
    says(
        &app("    comand: ./run\n"),
        "compose.yaml:5:5: unknown key `comand` in `service`\n  \
           5 |     comand: ./run\n    \
             |     ^^^^^^\n\
         hint: did you mean `command`?",
    );
}

#[test]
fn all_problems_are_reported_in_one_run_in_the_files_order() {
    let case = app("    container_name: web\n    ports: [\"80:80\"]\n    network_mode: host\n    gpus: all\n");
    says(
        &case,
        "compose.yaml:5:5: `container_name` is not supported\n  \
           5 |     container_name: web\n    \
             |     ^^^^^^^^^^^^^^\n\
         hint: remove it: old and new replicas run beside each other and need names of their own; \
         reach the service by its name\n\n\
         compose.yaml:6:5: app `web` has host `ports`, for which its replicas would compete\n  \
           6 |     ports: [\"80:80\"]\n    \
             |     ^^^^^\n\
         hint: remove them; the proxy publishes the app: set `x-deploy-apps.port`\n\n\
         compose.yaml:7:5: `network_mode` is not supported\n  \
           7 |     network_mode: host\n    \
             |     ^^^^^^^^^^^^\n\
         hint: use `networks`; the proxy reaches each replica over a network of its own\n\n\
         compose.yaml:8:5: `gpus` is not supported\n  \
           8 |     gpus: all\n    \
             |     ^^^^\n\
         hint: remove it; it is planned for a later version",
    );
}

#[test]
fn what_is_harmless_is_warned_about() {
    let case = Case::new(
        "version: \"3\"\nservices:\n  web:\n    image: web:$TAG\n    x-deploy-apps: { port: 80 }\n    hostname: a${TAG}\n",
    );
    assert_eq!(
        case.warnings(),
        [
            "compose.yaml:4:12: variable `TAG` is not set, so it is empty (hint: set it, or give it a default: `${TAG:-…}`)",
            "compose.yaml:1:1: `version` is obsolete and has no effect (hint: remove it)",
        ]
    );
}
