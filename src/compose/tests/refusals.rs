//! Every refusal has a position, a message and a hint.

use super::super::refuse;
use super::Case;

#[test]
fn a_mistyped_key_is_reported_with_a_suggestion() {
    Case::app("    comand: ./run\n").says(
        "compose.yaml:5:5: unknown key `comand` in `service`\n  \
           5 |     comand: ./run\n    \
             |     ^^^^^^\n\
         hint: did you mean `command`?",
    );
}

#[test]
fn all_problems_are_reported_in_order() {
    let lines = "    container_name: web\n    ports: [\"80:80\"]\n    network_mode: host\n    \
                 mac_address: 02:42:ac:11:65:43\n";
    Case::app(lines).says(
        "compose.yaml:5:5: `container_name` is not supported for an app\n  \
           5 |     container_name: web\n    \
             |     ^^^^^^^^^^^^^^\n\
         hint: remove it: old and new replicas run beside each other and need names of their own; \
         reach the service by its name\n\n\
         compose.yaml:6:5: app `web` has host `ports`, for which its replicas would compete\n  \
           6 |     ports: [\"80:80\"]\n    \
             |     ^^^^^\n\
         hint: remove them; the proxy publishes the app: set `x-deploy-apps.port`\n\n\
         compose.yaml:7:5: `network_mode: host` is not supported for an app\n  \
           7 |     network_mode: host\n    \
             |     ^^^^^^^^^^^^\n\
         hint: remove it, or use `networks`; the proxy reaches each replica over a network of its own\n\n\
         compose.yaml:8:5: `mac_address` is not supported for app `web`\n  \
           8 |     mac_address: 02:42:ac:11:65:43\n    \
             |     ^^^^^^^^^^^\n\
         hint: remove it: its replicas, old and new, run beside each other and cannot share one address",
    );
}

#[test]
fn a_long_list_of_problems_is_cut_and_counted() {
    let lines: String = (0..25).map(|n| format!("    nonsense{n}: 1\n")).collect();
    let error = Case::app(&lines).error();
    assert_eq!(error.matches("unknown key").count(), 20);
    assert!(error.ends_with("\n\nand 5 more"), "{error}");
}

#[test]
fn unsupported_keys_are_refused_by_name() {
    for (key, instead) in refuse::SERVICE.refused {
        Case::app(&format!("    {key}: 1\n")).refuses(&format!("5:5: `{key}` is not supported"), instead);
    }
    for (key, instead) in refuse::BUILD.refused {
        let case = Case::new(&format!("services:\n  web:\n    x-deploy-apps: {{}}\n    build:\n      {key}: 1\n"));
        case.refuses(&format!("5:7: `{key}` is not supported"), instead);
    }
    for (key, instead) in refuse::DEPLOY.refused {
        Case::app(&format!("    deploy:\n      {key}: 1\n"))
            .refuses(&format!("6:7: `{key}` is not supported"), instead);
    }
    for (key, instead) in refuse::TOP.refused {
        let case = Case::new(&format!("services: {{ web: {{ image: a }} }}\n{key}: 1\n"));
        case.refuses(&format!("2:1: `{key}` is not supported"), instead);
    }
}

#[test]
fn keys_without_effect_are_warned_about() {
    for (key, reason) in refuse::SERVICE.warned {
        let case = Case::app(&format!("    {key}: true\n"));
        assert_eq!(case.warnings(), [format!("compose.yaml:5:5: `{key}` has no effect: {reason}")]);
    }
}

#[test]
fn every_key_that_is_suggested_is_read() {
    for key in refuse::SERVICE.known {
        let error = super::super::load(&Case::accessory(&format!("    {key}: {{}}\n")).request());
        let text = error.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(!text.contains("unknown key") && !text.contains("is not supported"), "{key}: {text}");
    }
    for key in refuse::APP.known {
        let error = super::super::load(&Case::block(&format!("      {key}: {{}}\n")).request());
        let text = error.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(!text.contains("unknown key"), "{key}: {text}");
    }
}

#[test]
fn extensions_are_ignored_but_a_mistyped_block_is_not() {
    Case::new("x-common: &c { hostname: a }\nservices: { web: { <<: *c, image: a, x-mine: 1 } }\n").project();
    Case::accessory("    x-deploy-app: { port: 80 }\n")
        .refuses("4:5: unknown key `x-deploy-app` in `service`", "did you mean `x-deploy-apps`?");
}

#[test]
fn a_disabled_feature_equals_a_missing_key() {
    Case::app("    use_api_socket: false\n").project();
    Case::app("    use_api_socket: true\n").refuses(
        "5:5: `use_api_socket` is not supported",
        "mount the engine's socket, if it must be: `volumes: [\"/var/run/docker.sock:/var/run/docker.sock\"]`",
    );
}

#[test]
fn a_shared_writable_volume_needs_an_order() {
    let volume = "    volumes: [\"./data:/data\"]\n";
    Case::app(volume).refuses(
        "5:15: app `web` writes to a volume that its old and new version would share",
        "set `deploy.update_config.order: stop-first` for a single writer, or `start-first` if both may write at once, \
         or mount it read-only",
    );
    for order in ["stop-first", "start-first"] {
        Case::app(&format!("{volume}    deploy: {{ update_config: {{ order: {order} }} }}\n")).project();
    }
    Case::app("    volumes: [\"./data:/data:ro\", /cache]\n").project();
    Case::accessory(volume).project();
}

#[test]
fn harmless_problems_are_warnings() {
    let case = Case::new(
        "version: \"3\"\nservices:\n  web:\n    image: web${TAG}\n    x-deploy-apps: { port: 80 }\n    hostname: a${TAG}\n",
    );
    assert_eq!(
        case.warnings(),
        [
            "compose.yaml:4:12: variable `TAG` is not set, so it is empty (hint: set it, or give it a default: `${TAG:-…}`)",
            "compose.yaml:1:1: `version` is obsolete and has no effect (hint: remove it)",
        ]
    );
    let build = Case::new("services:\n  web: { build: ., image: web:1, pull_policy: always, x-deploy-apps: {} }\n");
    assert_eq!(
        build.warnings(),
        ["compose.yaml:2:34: `pull_policy` has no effect beside `build` \
             (hint: use `build.pull` to look for a newer base image)",]
    );
}
