//! Keys of a service in all forms.

use std::time::Duration;

use super::Case;
use crate::model::{BuildSpec, Condition, Healthcheck, ImageSource, Logging, Order, Resources, Restart, Ulimit};

fn words(command: Option<Vec<String>>) -> Option<String> {
    command.map(|words| words.join("|"))
}

#[test]
fn commands_are_lists_or_split_as_a_shell_would() {
    let command = |text: &str| words(Case::app(&format!("    command: {text}\n")).container().command);
    assert_eq!(command("run --name 'a b' \"c \\\" d\" e\\ f ''").as_deref(), Some("run|--name|a b|c \" d|e f|"));
    assert_eq!(command("[run, \"a b\", 5]").as_deref(), Some("run|a b|5"));
    assert_eq!(command("[]").as_deref(), Some(""));
    assert_eq!(command("\"\"").as_deref(), Some(""));
    assert_eq!(command("null"), None);
    let entrypoint = Case::app("    entrypoint: /bin/tini --\n").container().entrypoint;
    assert_eq!(words(entrypoint).as_deref(), Some("/bin/tini|--"));
    let hint = "no shell runs it; write a list such as `[\"sh\", \"-c\", \"…\"]` for shell syntax";
    Case::app("    command: a && b\n").refuses("5:14: `command` has an unquoted `&`", hint);
    Case::app("    command: a 'b\n").refuses("5:14: `command` has no closing '", hint);
    Case::app("    command: { a: b }\n").refuses("5:5: `command` must be a text or a list, not a map", "");
}

#[test]
fn variables_come_from_files_then_from_the_service_then_from_the_run() {
    let case = Case::app(
        "    env_file: [one.env, { path: two.env }, { path: none.env, required: false }]\n    environment:\n      \
         B: service\n      NUMBER: 1.10\n      SWITCH: yes\n      EMPTY: \"\"\n      PASSED:\n      UNSET:\n",
    )
    .file("one.env", "A=one\nB=one\nC=one\n")
    .file("two.env", "C=two # c\nexport D='$x'\nE=\"${A}-\\$5\\n\"\n")
    .env("PASSED", "run")
    .env("A", "run");
    let variables: Vec<String> =
        case.container().environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        variables,
        ["A=one", "B=service", "C=two", "D=$x", "E=run-$5\n", "NUMBER=1.10", "SWITCH=yes", "EMPTY=", "PASSED=run"]
    );
    let list = Case::app("    environment: [A=1=2, PASSED, UNSET]\n").env("PASSED", "run").container().environment;
    assert_eq!(
        list.into_iter().collect::<Vec<_>>(),
        [("A", "1=2"), ("PASSED", "run")].map(|(a, b)| (a.into(), b.into()))
    );
    let missing = Case::app("    env_file: none.env\n");
    let path = missing.path("none.env");
    missing.refuses(&format!("5:15: env file `{path}` does not exist"), "make it, or say `required: false`");
    let broken = Case::app("    env_file: a.env\n").file("a.env", "\nA='x\n");
    let path = broken.path("a.env");
    broken.refuses(&format!("5:15: env file `{path}`, line 2: the value of `A` has no closing '"), "close the quotes");
    Case::app("    environment: 5\n")
        .refuses("5:18: `environment` must be a map or a list of `NAME=value`, not `5`", "");
}

#[test]
fn builds_are_a_folder_or_a_map() {
    let build = |text: &str| {
        let case =
            Case::new(&format!("services:\n  web:\n    x-deploy-apps: {{}}\n    build: {text}\n")).env("B", "run");
        let ImageSource::Build(build) = case.first_app().service.image else { panic!("not a build") };
        let folder = case.path("");
        (*build, folder.trim_end_matches('/').to_owned())
    };
    let (short, folder) = build("./a/../app");
    assert_eq!(short.context.display().to_string(), format!("{folder}/app"));
    assert_eq!(short.dockerfile.display().to_string(), "Dockerfile");
    let (long, folder) = build(
        "{ dockerfile: docker/D, args: { A: 1, B: , C: }, target: t, labels: [x=y], network: host, \
         extra_hosts: { a: 10.0.0.1 }, no_cache: true, pull: true }",
    );
    let expected = BuildSpec {
        context: folder.into(),
        dockerfile: "docker/D".into(),
        dockerfile_inline: None,
        args: [("A", "1"), ("B", "run")].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        target: Some("t".to_owned()),
        labels: [("x".to_owned(), "y".to_owned())].into(),
        network: Some("host".to_owned()),
        extra_hosts: vec!["a:10.0.0.1".to_owned()],
        no_cache: true,
        pull: true,
        ..BuildSpec::default()
    };
    assert_eq!(long, expected);
    assert_eq!(build("{ dockerfile_inline: FROM a }").0.dockerfile_inline.as_deref(), Some("FROM a"));
    let refused = |text: &str| Case::new(&format!("services:\n  web:\n    x-deploy-apps: {{}}\n    build: {text}\n"));
    refused("{ dockerfile: D, dockerfile_inline: FROM a }")
        .refuses("4:14: `dockerfile` and `dockerfile_inline` exclude each other", "keep one of them");
    refused("https://example.com/a.git").refuses(
        "4:12: build context `https://example.com/a.git` is not a folder",
        "clone it, and name the folder; remote contexts are not supported yet",
    );
}

#[test]
fn likely_mistakes_in_images_are_refused() {
    for image in ["a", "a:1", "r.example.com:5000/Team".to_lowercase().as_str(), "a@sha256:ab", "localhost:5000/a/b:v1"]
    {
        Case::new(&format!("services: {{ a: {{ image: \"{image}\" }} }}\n")).project();
    }
    for image in ["a:", "A", "a b", "a/", "/a", "a:1:2", "a@sha256", "-"] {
        let message = format!(
            "1:22: `image` must be an image such as `redis:8` or `registry.example.com/team/app:1.2`, not `{image}`"
        );
        Case::new(&format!("services: {{ a: {{ image: \"{image}\" }} }}\n"))
            .refuses(&message.replace("1:22", "1:25"), "");
    }
    Case::accessory("    pull_policy: build\n")
        .refuses("4:5: `pull_policy: build` without `build`", "add `build`, or remove it");
    Case::accessory("    pull_policy: hourly\n").refuses(
        "4:18: `pull_policy` must be `always`, `missing`, `if_not_present`, `never` or `build`, not `hourly`",
        "",
    );
}

#[test]
fn healthchecks_are_a_test_or_disabled() {
    let check = |text: &str| Case::app(&format!("    healthcheck: {text}\n")).container().healthcheck;
    let test = |words: &[&str]| {
        Some(Healthcheck::Test {
            test: words.iter().map(ToString::to_string).collect(),
            interval: None,
            timeout: None,
            retries: None,
            start_period: None,
            start_interval: None,
        })
    };
    assert_eq!(check("{ test: curl -f x }"), test(&["CMD-SHELL", "curl -f x"]));
    assert_eq!(check("{ test: [CMD, a, b] }"), test(&["CMD", "a", "b"]));
    assert_eq!(check("{ test: [NONE] }"), Some(Healthcheck::Disabled));
    assert_eq!(check("{ disable: true }"), Some(Healthcheck::Disabled));
    assert_eq!(
        check("{ interval: 1m30s, timeout: 1.5s, retries: 2, start_period: 0s, start_interval: 250ms }"),
        Some(Healthcheck::Test {
            test: Vec::new(),
            interval: Some(Duration::from_secs(90)),
            timeout: Some(Duration::from_millis(1500)),
            retries: Some(2),
            start_period: Some(Duration::ZERO),
            start_interval: Some(Duration::from_millis(250)),
        })
    );
    Case::app("    healthcheck: { test: [curl, a] }\n").refuses(
        "5:20: `test` must start with `CMD`, `CMD-SHELL` or `NONE`",
        "write `[\"CMD\", \"program\", \"argument\"]`, or one text that a shell runs",
    );
    Case::app("    healthcheck: { interval: 10 }\n")
        .refuses("5:30: `interval` must be a duration with its unit, such as `10s`, `1m30s` or `250ms`, not `10`", "");
}

#[test]
fn deploy_sets_replicas_resources_and_rollout() {
    let app = Case::app(
        "    deploy:\n      mode: replicated\n      replicas: 0\n      update_config: { order: stop-first, parallelism: 2, delay: 1s, \
         monitor: 5s, failure_action: rollback, max_failure_ratio: 0 }\n      resources:\n        \
         limits: { cpus: '0.50', memory: 64m, pids: 100 }\n        reservations: { memory: 16MiB }\n",
    )
    .first_app();
    assert_eq!((app.replicas, app.rollout.order, app.rollout.parallelism), (0, Order::StopFirst, 2));
    assert_eq!((app.rollout.delay, app.rollout.monitor), (Duration::from_secs(1), Duration::from_secs(5)));
    let resources = Resources {
        nano_cpus: Some(500_000_000),
        memory_bytes: Some(64 << 20),
        memory_reservation_bytes: Some(16 << 20),
        pids: Some(100),
    };
    assert_eq!(app.service.container.resources, resources);
    let old =
        Case::app("    scale: 3\n    cpus: 1\n    mem_limit: 1.5g\n    mem_reservation: 8388608\n    pids_limit: -1\n");
    let old = old.first_app();
    assert_eq!((old.replicas, old.service.container.resources.nano_cpus), (3, Some(1_000_000_000)));
    assert_eq!(old.service.container.resources.memory_bytes, Some(1_610_612_736));
    assert_eq!(
        (old.service.container.resources.memory_reservation_bytes, old.service.container.resources.pids),
        (Some(8 << 20), None)
    );
}

#[test]
fn unsupported_keys_of_deploy_are_refused_with_a_hint() {
    let refuses = |text: &str, message: &str, hint: &str| {
        Case::app(&format!("    deploy: {text}\n")).refuses(&format!("5:{message}"), hint);
    };
    refuses("{ replicas: -1 }", "25: `replicas` must be a whole number from 0 to 100, not `-1`", "");
    refuses("{ replicas: 101 }", "25: `replicas` must be a whole number from 0 to 100, not `101`", "");
    refuses("{ replicas: two }", "25: `replicas` must be a whole number from 0 to 100, not `two`", "");
    refuses(
        "{ mode: global, replicas: 2 }",
        "21: `mode: global` and 2 replicas exclude each other",
        "remove `mode`: there is one host, `replicas` says how many run on it",
    );
    refuses(
        "{ mode: replicated-job }",
        "21: app `web` is a job, which ends; an app serves",
        "remove `mode`; for what runs once per release use `x-deploy-apps.release` or `pre_start`",
    );
    refuses(
        "{ update_config: { failure_action: stop } }",
        "48: `failure_action` must be `rollback`, `pause` or `continue`, not `stop`",
        "",
    );
    refuses(
        "{ update_config: { max_failure_ratio: 2 } }",
        "51: `max_failure_ratio` must be a ratio from 0 to 1, such as `0.1`, not `2`",
        "",
    );
    refuses("{ update_config: { order: any } }", "39: `order` must be `start-first` or `stop-first`, not `any`", "");
    refuses(
        "{ resources: { limits: { memory: 64 } } }",
        "46: `memory` must be at least `6m`, not `64`",
        "add the unit, such as `64m`",
    );
    refuses(
        "{ resources: { limits: { memory: 64x } } }",
        "46: `memory` must be a size in bytes or with its unit, such as `64m` or `1.5g`, not `64x`",
        "",
    );
    refuses(
        "{ resources: { limits: { cpus: many } } }",
        "44: `cpus` must be a number of processors from 0.01 to 4096, such as `0.5`, not `many`",
        "",
    );
    Case::app("    scale: 2\n    deploy: { replicas: 3 }\n")
        .refuses("6:15: `scale` and `deploy.replicas` differ", "keep one of them");
    Case::app("    mem_limit: 8m\n    deploy: { resources: { limits: { memory: 9m } } }\n")
        .refuses("6:38: `mem_limit` and `deploy.resources.limits.memory` differ", "keep one of them");
    Case::accessory("    scale: 2\n").refuses(
        "4:5: `db` has 2 replicas, but a service without an `x-deploy-apps` block has one",
        "add the block to roll it, or remove the number",
    );
}

#[test]
fn dependencies_are_known_services_without_cycles() {
    let services = |depends_on: &str| {
        Case::new(&format!(
            "services:\n  web: {{ image: w, x-deploy-apps: {{}}, depends_on: {depends_on} }}\n  db: {{ image: d }}\n  \
             job: {{ image: j }}\n"
        ))
    };
    let project = services("{ db: { condition: service_healthy }, job: { condition: service_completed_successfully }, no: { required: false } }").project();
    let found: Vec<_> =
        project.apps[0].service.depends_on.iter().map(|found| (found.service.as_str(), found.condition)).collect();
    assert_eq!(found, [("db", Condition::Healthy), ("job", Condition::CompletedSuccessfully)]);
    // Long-running services restart after a reboot; jobs must not restart.
    assert_eq!(project.accessories[0].service.container.restart, Restart::UnlessStopped);
    assert_eq!(project.accessories[1].service.container.restart, Restart::No);
    assert_eq!(services("[db]").project().apps[0].service.depends_on[0].condition, Condition::Started);
    services("[dbb]").refuses("2:52: `depends_on` names `dbb`, which is not a service", "did you mean `db`?");
    assert_eq!(
        services("{ db: { restart: true } }").warnings(),
        ["compose.yaml:2:59: `restart: true` has no effect: no deploy restarts an accessory"]
    );
    Case::new(
        "services:\n  a: { image: a, depends_on: [b] }\n  b: { image: b, depends_on: [c] }\n  c: { image: c, depends_on: [b] }\n",
    )
    .refuses("4:31: services depend on each other in a circle: `b` → `c` → `b`", "remove one of these dependencies");
}

#[test]
fn other_keys_reach_the_container_unchanged() {
    let container = Case::app(
        "    user: 1000\n    working_dir: /srv\n    hostname: web\n    init: true\n    read_only: yes\n    labels: [a=b, c]\n    \
         extra_hosts: [\"a:10.0.0.1\", \"b=[::1]\", host.docker.internal=host-gateway]\n    cap_add: [NET_ADMIN]\n    \
         cap_drop: [ALL]\n    security_opt: [\"no-new-privileges:true\"]\n    ulimits: { nproc: 65535, nofile: { soft: 1, hard: 2 } }\n    \
         sysctls: [net.core.somaxconn=1024]\n    logging: { driver: local, options: { max-size: 10m } }\n    \
         stop_signal: SIGQUIT\n    stop_grace_period: 1m30s\n    restart: on-failure:5\n    expose: [\"80\"]\n",
    )
    .container();
    assert_eq!((container.user.as_deref(), container.working_dir.as_deref()), (Some("1000"), Some("/srv")));
    assert_eq!((container.hostname.as_deref(), container.init, container.read_only), (Some("web"), true, true));
    assert_eq!(
        container.labels.into_iter().collect::<Vec<_>>(),
        [("a", "b"), ("c", "")].map(|(a, b)| (a.into(), b.into()))
    );
    assert_eq!(container.extra_hosts, ["a:10.0.0.1", "b:::1", "host.docker.internal:host-gateway"]);
    assert_eq!((container.cap_add, container.cap_drop), (vec!["NET_ADMIN".to_owned()], vec!["ALL".to_owned()]));
    assert_eq!(container.security_opt, ["no-new-privileges:true"]);
    let limit = |name: &str, soft, hard| Ulimit { name: name.to_owned(), soft, hard };
    assert_eq!(container.ulimits, [limit("nproc", 65535, 65535), limit("nofile", 1, 2)]);
    assert_eq!(container.sysctls.get("net.core.somaxconn").map(String::as_str), Some("1024"));
    let options = [("max-size".to_owned(), "10m".to_owned())].into();
    assert_eq!(container.logging, Some(Logging { driver: "local".to_owned(), options }));
    assert_eq!(
        (container.stop_signal.as_deref(), container.stop_grace),
        (Some("SIGQUIT"), Some(Duration::from_secs(90)))
    );
    assert_eq!(container.restart, Restart::OnFailure(Some(5)));
    assert_eq!(Case::app("    restart: no\n").container().restart, Restart::No);

    Case::app("    labels: { deploy-apps.app: x }\n")
        .refuses("5:5: label `deploy-apps.app` is reserved", "choose a name that does not start with `deploy-apps.`");
    Case::app("    init: maybe\n").refuses("5:11: `init` must be `true` or `false`, not `maybe`", "");
    Case::app("    restart: sometimes\n").refuses(
        "5:14: `restart` must be `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`, not `sometimes`",
        "",
    );
    Case::app("    cap_add: ALL\n").refuses("5:14: `cap_add` must be a list, not `ALL`", "");
    Case::app("    extra_hosts: [nonsense]\n").refuses(
        "5:19: `extra_hosts` must hold `name=address`, not `nonsense`",
        "write such as `db.internal=10.0.0.5` or `host.docker.internal=host-gateway`",
    );
    Case::app("    ulimits: { nofile: { soft: 1 } }\n")
        .refuses("5:16: ulimit `nofile` needs `soft` and `hard`", "give both, or one number for both");
}
