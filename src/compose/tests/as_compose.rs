//! Behaviour of `docker compose` 5.6 with the same files: each expectation was observed there.

use std::path::PathBuf;

use super::Case;
use crate::compose::config;
use crate::compose::load;
use crate::compose::request::{LoadRequest, Needs};
use crate::model::{Healthcheck, ImageSource};

fn printed(case: &Case) -> serde_json::Value {
    config(&case.request(), true).unwrap_or_else(|error| panic!("{error}")).model
}

fn environment(case: &Case) -> Vec<String> {
    case.container().environment.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn empty_values_are_not_set() {
    let keys = "cgroup_parent cpuset dns dns_search domainname hostname ipc isolation mac_address network_mode pid \
                platform restart runtime stop_signal tmpfs user userns_mode uts working_dir";
    let lines: String = keys.split_whitespace().map(|key| format!("    {key}: \"${{X:-}}\"\n")).collect();
    assert_eq!(Case::accessory(&lines).container(), Case::accessory("").container());
    let lists = "annotations cap_add cap_drop device_cgroup_rules devices dns dns_opt dns_search environment expose \
                 external_links group_add labels security_opt sysctls tmpfs";
    let lines: String = lists.split_whitespace().map(|key| format!("    {key}: [\"${{X:-}}\"]\n")).collect();
    assert_eq!(Case::accessory(&lines).container(), Case::accessory("").container());
}

#[test]
fn empty_values_in_maps_are_not_set() {
    let lines = "    logging: { driver: \"\" }\n    ports: [{ target: 80, published: \"\", protocol: \"\" }]\n    \
                 volumes: [{ type: volume, source: \"\", target: /v, volume: { subpath: \"\" } }]\n    \
                 devices: [{ source: /dev/a, target: \"\", permissions: \"\" }]\n    \
                 extra_hosts: { a: \"\", b: [\"\"] }\n    \
                 networks: { n: { ipv4_address: \"\", mac_address: \"\", aliases: [\"\"] } }\n";
    let rest = "networks: { n: { name: \"\", driver: \"\", ipam: { config: [{ subnet: \"\", gateway: \"\" }] } } }\n";
    let case = Case::new(&format!("services:\n  db:\n    image: db:1\n{lines}{rest}"));
    let container = case.container();
    assert_eq!((container.ports[0].host_port, container.ports[0].protocol.as_str()), (None, "tcp"));
    assert_eq!(container.extra_hosts, Vec::<String>::new());
    assert_eq!(container.host.devices[0].target, "/dev/a");
    assert_eq!(container.networks[0].network, "sample_n");
    // An empty value of a variable or a label is kept.
    let kept = Case::accessory("    environment: { A: \"\" }\n    labels: { l: \"\" }\n").container();
    assert_eq!(kept.environment["A"], "");
    assert_eq!(kept.labels["l"], "");
}

#[test]
fn empty_values_in_deploy_are_not_set() {
    let lines = "    deploy: { mode: \"\", restart_policy: { condition: \"\" }, update_config: { failure_action: \"\" }, \
                 rollback_config: { failure_action: \"\" } }\n";
    let app = Case::app(lines).first_app();
    assert_eq!(app.rollout.failure_action, Case::app("").first_app().rollout.failure_action);
}

#[test]
fn an_empty_build_is_a_build_of_the_projects_folder() {
    let case = Case::new("services: { a: { build: \"${B:-}\" }, b: { build: { context: \"\", dockerfile: \"\" } } }\n");
    for accessory in case.project().accessories.values() {
        let ImageSource::Build(build) = &accessory.service.image else { panic!("a build") };
        assert_eq!(build.context, PathBuf::from(case.path("").trim_end_matches('/')));
        assert_eq!(build.dockerfile, PathBuf::from("Dockerfile"));
    }
}

#[test]
fn an_included_build_without_a_context_builds_its_own_folder() {
    let case = Case::new("include: [sub/compose.yaml]\nservices: {}\n").file(
        "sub/compose.yaml",
        "services: { a: { build: { dockerfile: D } }, b: { build: {} }, c: { build: \"\" }, d: { build: . } }\n",
    );
    for (name, accessory) in case.project().accessories {
        let ImageSource::Build(build) = &accessory.service.image else { panic!("a build") };
        assert_eq!(build.context, PathBuf::from(case.path("sub")), "{name}");
    }
    assert_eq!(printed(&case)["services"]["a"]["build"]["context"], case.path("sub"));
    // An extended file is a part of the extending one.
    let case = Case::new("services: { a: { extends: { file: sub/base.yaml, service: a } } }\n")
        .file("sub/base.yaml", "services: { a: { build: { dockerfile: D } } }\n");
    let ImageSource::Build(build) = &case.project().accessories[0].service.image else { panic!("a build") };
    assert_eq!(build.context, PathBuf::from(case.path("").trim_end_matches('/')));
}

#[test]
fn dotenv_is_that_of_the_first_named_file() {
    let text = "services: { a: { image: \"a:${WHERE-none}\" } }\n";
    let case = Case::new("nonsense").file("sub/compose.yaml", text).file("here.yaml", text);
    let case = case.file(".env", "WHERE=here\n").file("sub/.env", "WHERE=sub\nCOMPOSE_PROJECT_NAME=own\n");
    let loaded = |files: &[&str], env: &[(&str, &str)]| {
        let mut request = LoadRequest { files: files.iter().map(Into::into).collect(), ..case.request() };
        request.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        request.project_name = None;
        let project = load(&request).expect("loaded").project;
        let ImageSource::Pull { reference, .. } = &project.accessories[0].service.image else { panic!("an image") };
        (reference.clone(), project.name.to_string())
    };
    assert_eq!(loaded(&["sub/compose.yaml"], &[]), ("a:sub".to_owned(), "own".to_owned()));
    assert_eq!(loaded(&["sub/compose.yaml", "here.yaml"], &[]).0, "a:sub");
    assert_eq!(loaded(&["here.yaml", "sub/compose.yaml"], &[]).0, "a:here");
    // A file named by the environment is searched from here first, so this folder's `.env` is read first.
    assert_eq!(loaded(&[], &[("COMPOSE_FILE", "sub/compose.yaml")]).0, "a:here");
    assert_eq!(loaded(&["sub/compose.yaml"], &[("COMPOSE_DISABLE_ENV_FILE", "1")]).0, "a:none");
    assert_eq!(loaded(&["sub/compose.yaml"], &[("COMPOSE_DISABLE_ENV_FILE", "false")]).0, "a:sub");
    let folder =
        LoadRequest { files: vec!["sub/compose.yaml".into()], project_folder: Some(".".into()), ..case.request() };
    assert_eq!(load(&folder).expect("loaded").environment["WHERE"], "here");
    let case = case.env("COMPOSE_DISABLE_ENV_FILE", "perhaps");
    let error = load(&LoadRequest { files: vec!["here.yaml".into()], ..case.request() }).expect_err("refused");
    assert!(error.to_string().starts_with("`COMPOSE_DISABLE_ENV_FILE` must be `true` or `false`, not `perhaps`"));
}

#[test]
fn env_files_may_be_named_from_the_home_folder_and_by_dotenv() {
    let text = "services: { a: { image: \"a:${A-none}\" } }\n";
    let case = Case::new(text).file("home/x.env", "A=home\n").file(".env", "A=dot\nCOMPOSE_ENV_FILES=o.env\n");
    let case = case.file("o.env", "B=other\n");
    let home = case.path("home");
    let case = case.env("HOME", &home);
    let request = LoadRequest { env_files: vec!["~/x.env".into()], ..case.request() };
    assert_eq!(load(&request).expect("loaded").environment["A"], "home");
    let case = Case::new(text).file(".env", "A=dot\nCOMPOSE_ENV_FILES=o.env\n").file("o.env", "B=other\n");
    let environment = case.loaded().environment;
    assert_eq!((environment.get("A"), environment["B"].as_str()), (None, "other"));
}

#[test]
fn names_are_normalized_and_never_cut() {
    let name = |text: &str| {
        let case = Case::new(&format!("{text}services: {{ a: {{ image: a }} }}\n"));
        load(&LoadRequest { project_name: None, ..case.request() }).map(|loaded| loaded.project.name.to_string())
    };
    assert_eq!(name("name: MyApp\n").as_deref(), Ok("myapp"));
    assert_eq!(name("name: \"_My App!\"\n").as_deref(), Ok("myapp"));
    assert!(name("name: \"__\"\n").expect_err("nothing is left").to_string().contains("`__` is not a project name"));
    let long = "a".repeat(41);
    assert!(name(&format!("name: {long}\n")).is_err());
    let case = Case::new("nonsense").file(&format!("{long}/compose.yaml"), "services: { a: { image: a } }\n");
    let request = LoadRequest { folder: case.path(&long).into(), project_name: None, ..case.request() };
    let error = load(&request).expect_err("too long").to_string();
    assert!(error.contains("gives a project name of 41 characters, and at most 40 are possible"), "{error}");
    assert!(error.contains("-p NAME"), "{error}");
}

#[test]
fn profiles_of_the_command_line_replace_those_of_the_environment() {
    let case = Case::new(
        "services:\n  a: { image: a }\n  b: { image: b, profiles: [b] }\n  c: { image: c, profiles: [c] }\n  \
         d: { image: d, profiles: [\"${P:-}\"] }\n",
    )
    .env("COMPOSE_PROFILES", "b");
    let names = |request: &LoadRequest| {
        load(request).expect("loaded").project.accessories.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&case.request()), "a b");
    assert_eq!(names(&LoadRequest { profiles: vec!["c".to_owned()], ..case.request() }), "a c");
    // Without profiles the empty profile is active.
    assert_eq!(names(&case.env("COMPOSE_PROFILES", "").request()), "a d");
}

#[test]
fn a_name_without_a_value_replaces_a_value() {
    let layers = |over: &str| {
        Case::new("services: { a: { image: a, environment: { V: one, W: w }, labels: { l: one } } }\n")
            .file("compose.override.yaml", &format!("services: {{ a: {{ {over} }} }}\n"))
    };
    assert_eq!(environment(&layers("environment: [V]")), ["W=w"]);
    assert_eq!(environment(&layers("environment: { V: }")), ["W=w"]);
    assert_eq!(environment(&layers("environment: [V]").env("V", "run")), ["V=run", "W=w"]);
    assert_eq!(layers("labels: [l]").container().labels["l"], "");
}

#[test]
fn health_checks_are_split_like_in_compose() {
    let check = |text: &str| Case::accessory(&format!("    healthcheck: {{ test: {text} }}\n")).container().healthcheck;
    let words = |text: &str| match check(text) {
        Some(Healthcheck::Test { test, .. }) => test.join("|"),
        other => format!("{other:?}"),
    };
    assert_eq!(words("[CMD-SHELL, a, b]"), "CMD-SHELL|a|b");
    assert_eq!(words("[CMD, a, \"${X:-}\", b]"), "CMD|a||b");
    assert_eq!(words("[]"), "");
    assert_eq!(check("[NONE, x]"), Some(Healthcheck::Disabled));
}

#[test]
fn an_included_resource_is_overridden_by_the_file() {
    let case = Case::new(
        "include: [inc.yaml]\nservices: { a: { image: own, environment: { A: own } } }\nnetworks: { n: }\n",
    )
    .file(
        "inc.yaml",
        "services: { a: { image: inc, networks: [n], environment: { A: inc, B: inc } } }\nnetworks: { n: {} }\n",
    );
    assert_eq!(environment(&case), ["A=own", "B=inc"]);
    assert_eq!(case.container().networks[0].network, "sample_n");
    let ImageSource::Pull { reference, .. } = &case.project().accessories[0].service.image else { panic!("an image") };
    assert_eq!(reference, "own");
}

#[test]
fn an_empty_file_changes_nothing() {
    for text in ["", "# nothing\n", "---\n"] {
        let case = Case::new("services: { a: { image: a } }\n").file("compose.override.yaml", text);
        assert_eq!(case.project().accessories.len(), 1, "{text:?}");
    }
}

#[test]
fn modes_without_a_zero_are_decimal() {
    let case = |mode: &str| {
        Case::new(&format!(
            "services: {{ a: {{ image: a, configs: [{{ source: c, mode: {mode} }}] }} }}\nconfigs: {{ c: {{ content: x }} }}\n"
        ))
    };
    for (written, meant, shown) in [("288", 0o440, "0440"), ("0440", 0o440, "0440"), ("\"440\"", 0o440, "0440")] {
        assert_eq!(case(written).container().files[0].mode, meant, "{written}");
        assert_eq!(printed(&case(written))["services"]["a"]["configs"][0]["mode"], shown, "{written}");
    }
    assert_eq!(case("440").loaded().project.accessories[0].service.container.files[0].mode, 0o670);
    assert!(case("440").warnings()[0].contains("`mode: 440` is a decimal number, the octal `0670`"));
}

#[test]
fn uninterpolated_variables_keep_their_colons() {
    let case = Case::accessory("    volumes: [\"${D:-/srv}/x:/x:ro\", \"$D/y:/y\"]\n");
    let model = config(&case.request(), false).expect("printed").model;
    let volumes = &model["services"]["db"]["volumes"];
    assert_eq!((volumes[0]["source"].as_str(), volumes[0]["target"].as_str()), (Some("${D:-/srv}/x"), Some("/x")));
    assert_eq!(volumes[0]["read_only"], true);
    assert_eq!(volumes[1]["source"], "$D/y");
}

#[test]
fn a_missing_value_is_an_error_only_if_used() {
    let case = Case::new(
        "services:\n  web: { image: w, depends_on: [db], x-deploy-apps: {} }\n  \
         api: { image: a, env_file: no.env, secrets: [s], x-deploy-apps: {} }\n  db: { image: d }\n  \
         job: { image: j, depends_on: [api], x-deploy-apps: {} }\nsecrets: { s: { file: no.txt } }\n",
    );
    let with = |needs: Needs| load(&LoadRequest { needs, ..case.request() });
    let of = |name: &str| Needs::Of(vec![name.to_owned()]);
    assert!(with(Needs::All).is_err());
    assert!(with(of("api")).is_err());
    assert!(with(of("job")).is_err());
    for needs in [Needs::None, of("web")] {
        let loaded = with(needs).expect("loaded");
        assert_eq!(loaded.project.apps.len(), 3);
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.iter().any(|warning| warning.contains("no.env")), "{warnings:?}");
        assert!(warnings.iter().any(|warning| warning.contains("no.txt")), "{warnings:?}");
    }
}

#[test]
fn unset_variables_in_env_files_are_warned_about() {
    let case = Case::new("services: { a: { image: a, env_file: a.env } }\n")
        .file(".env", "PASSWORD=pa$Dw\n")
        .file("a.env", "KEY=x$E\n");
    let warnings = case.warnings();
    assert!(
        warnings.iter().any(|text| text.contains(".env:1: variable `Dw` is not set, so it is empty")),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|text| text.contains("line 1: variable `E` is not set, so it is empty")),
        "{warnings:?}"
    );
}

#[test]
fn jobs_and_hooks_printed_by_compose_are_loaded() {
    let case = Case::new(
        "services:\n  a:\n    image: x\n    networks: { default: null }\n    pre_start:\n      - command: [m]\n        \
         image: x\n        networks: { default: null }\n        env_file: [{ path: e.env }]\n\
         jobs:\n  j: { name: j, image: y, command: [b], volumes: [v:/v], networks: { default: null }, triggers: { manual: true } }\n\
         volumes: { v: {} }\n",
    )
    .file("e.env", "A=1\n");
    let loaded = case.loaded();
    assert_eq!(loaded.project.accessories[0].service.container.hooks.pre_start[0].environment["A"], "1");
    let warnings: Vec<String> = loaded.warnings.iter().map(|warning| warning.0.message.clone()).collect();
    assert_eq!(
        warnings,
        ["`jobs` has no effect: nothing is started by a schedule here; `docker compose` or cron runs a job"]
    );
    let model = printed(&case);
    assert_eq!(model["jobs"]["j"]["command"][0], "b");
    assert!(model["volumes"]["v"].is_object());
}

#[test]
fn unsupported_keys_can_be_printed() {
    let lines = "    network_mode: host\n    ports: [\"80:80\"]\n    container_name: w\n";
    let case = Case::app(lines);
    assert!(load(&case.request()).is_err());
    let model = printed(&Case::app("    network_mode: host\n"));
    assert_eq!(model["services"]["web"]["network_mode"], "host");
    Case::accessory("    provider: { type: model }\n").loaded();
    Case::app("    build: { isolation: hyperv }\n").refuses(
        "5:25: `isolation` must be `default`, not `hyperv`",
        "remove it: the other kinds are for Windows containers",
    );
}

#[test]
fn a_merge_key_may_have_its_tag() {
    let case = Case::new("x-a: &a { image: x }\nservices: { a: { !!merge <<: *a } }\n");
    assert_eq!(case.project().accessories.len(), 1);
}

#[test]
fn a_route_with_a_star_is_refused() {
    Case::block("      port: 80\n      routes: [{ path: /a/* }]\n")
        .refuses("6:24: `path` must be a path without `*`, not `/a/*`", "`/a` is a prefix of every path below it");
}

#[test]
fn webhooks_are_printed_without_their_tokens() {
    let notify = "x-deploy-apps:\n  notify: [{ url: \"https://u:pw@h.example:8/t/secret?x=1\", headers: { X-Token: secret } }]\n";
    let case = Case::new(&format!("services: {{ a: {{ image: a, x-deploy-apps: {{}} }} }}\n{notify}"));
    for interpolates in [true, false] {
        let model = config(&case.request(), interpolates).expect("printed").model;
        let hook = &model["x-deploy-apps"]["notify"][0];
        assert_eq!(hook["url"], "https://h.example:8/***");
        assert_eq!(hook["headers"]["X-Token"], "***");
    }
    let variable =
        case.file("compose.yaml", "services: { a: { image: a } }\nx-deploy-apps: { notify: [{ url: \"${U}\" }] }\n");
    let model = config(&variable.request(), false).expect("printed").model;
    assert_eq!(model["x-deploy-apps"]["notify"][0]["url"], "${U}");
}

#[test]
fn pipes_and_devices_are_refused_by_name() {
    let case = Case::app("    env_file: pipe\n");
    let fifo = |name: &str| {
        let made = std::process::Command::new("mkfifo").arg(case.path(name)).status().expect("mkfifo");
        assert!(made.success());
    };
    fifo("pipe");
    let error = case.error();
    assert!(error.contains("is a named pipe, not a regular file"), "{error}");
    let secret = Case::new(
        "services: { a: { image: a, secrets: [s], x-deploy-apps: {} } }\nsecrets: { s: { file: /dev/zero } }\n",
    );
    assert!(secret.error().contains("file `/dev/zero` of secret `s` is a device, not a regular file"));
    let version = Case::new("services: { web: { image: web, x-deploy-apps: { port: 80 } } }\n");
    let made = std::process::Command::new("mkfifo").arg(version.path("VERSION")).status().expect("mkfifo");
    assert!(made.success() && version.warnings().concat().contains("is a named pipe, not a regular file"));
    let file = |path: &str| {
        load(&LoadRequest { files: vec![path.into()], ..case.request() }).expect_err("refused").to_string()
    };
    assert!(file("/dev/zero").starts_with("`/dev/zero` is a device, not a regular file"));
    assert!(file("pipe").starts_with("`pipe` is a named pipe, not a regular file"));
    let found = Case::new("x").file("sub/x", "");
    std::fs::remove_file(found.path("compose.yaml")).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(found.path("compose.yaml")).status().expect("mkfifo");
    assert!(made.success() && found.error().contains("`compose.yaml` is a named pipe"));
}

#[test]
fn control_characters_in_files_are_escaped() {
    let error = Case::new("services: { a: { image: \"a\\e[2J\\nerror: b\" } }\n").error();
    assert!(!error.contains('\u{1b}') && !error.contains("\nerror: b"), "{error}");
    let case = Case::app("    env_file: \"no\\e[2J\\nerror: x\"\n");
    let error = case.error();
    assert!(!error.contains('\u{1b}') && !error.contains("\nerror: x"), "{error:?}");
    assert!(error.contains("\\u{1b}[2J\\nerror: x"), "{error}");
}
