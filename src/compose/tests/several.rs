//! Several files: merged, extended and included, and which services are active.

use super::Case;
use crate::compose::load;
use crate::compose::request::LoadRequest;
use crate::model::ImageSource;

const BASE: &str = "services:\n  web:\n    image: web:1\n    command: [a, b]\n    environment: { A: \"1\", B: \"1\" }\n    \
                    cap_add: [X]\n    tmpfs: /a\n    healthcheck: { test: [CMD, a], retries: 3 }\n    x-deploy-apps: { port: 80 }\n";

/// `compose.yaml` with these lines, merged over `base.yaml`.
fn over(base: &str, lines: &str) -> Case {
    Case::new(lines).file("base.yaml", base).env("COMPOSE_FILE", "base.yaml:compose.yaml")
}

fn service(lines: &str) -> Case {
    over(BASE, &format!("services:\n  web:\n{lines}"))
}

#[test]
fn maps_are_merged_lists_appended_and_commands_replaced() {
    let web = service(
        "    command: c d\n    environment: [B=2, C=3]\n    cap_add: [Y, X]\n    tmpfs: [/b, /a]\n    \
         healthcheck: { test: [CMD, b] }\n",
    )
    .container();
    assert_eq!(web.command, Some(vec!["c".to_owned(), "d".to_owned()]));
    let variables: Vec<String> = web.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(variables, ["A=1", "B=2", "C=3"]);
    assert_eq!(web.cap_add, ["X", "Y"]);
    assert_eq!(web.tmpfs.iter().map(|mount| mount.target.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
    let check = format!("{:?}", web.healthcheck);
    assert!(check.contains("[\"CMD\", \"b\"]") && check.contains("Some(3)"), "{check}");
}

#[test]
fn reset_removes_and_override_replaces_at_any_depth() {
    let web =
        service("    command: !reset null\n    environment: { A: !reset , C: \"3\" }\n    cap_add: !override [Y]\n")
            .container();
    assert_eq!(web.command, None);
    assert_eq!(web.environment.keys().collect::<Vec<_>>(), ["B", "C"]);
    assert_eq!(web.cap_add, ["Y"]);
    let alone = Case::app("    command: !reset [a]\n    user: !override \"5\"\n").container();
    assert_eq!((alone.command, alone.user.as_deref()), (None, Some("5")));
    let gone = over(&format!("{BASE}  db: {{ image: db }}\n"), "services: { db: !reset null }\n").project();
    assert!(gone.accessories.is_empty());
}

#[test]
fn the_default_override_file_is_merged() {
    let case = Case::new(BASE).file("compose.override.yaml", "services: { web: { image: \"web:2\" } }\n");
    assert!(matches!(&case.first_app().service.image, ImageSource::Pull { reference, .. } if reference == "web:2"));
    // Naming a file disables the search.
    let request = LoadRequest { files: vec!["compose.yaml".into()], ..case.request() };
    let project = load(&request).expect("one file").project;
    assert!(matches!(&project.apps[0].service.image, ImageSource::Pull { reference, .. } if reference == "web:1"));
}

#[test]
fn mounts_and_ports_are_merged_by_key() {
    let base = "services:\n  db:\n    image: db\n    volumes: [\"./a:/data\", \"./b:/log\"]\n    \
                ports: [\"8080-8082:80-82\"]\n";
    let lines = "services:\n  db:\n    volumes: [{ type: bind, source: ./c, target: /data }]\n    \
                 ports: [{ target: 81, published: 8081 }, \"9000:90\"]\n";
    let db = over(base, lines).container();
    let mounts: Vec<String> = db.mounts.iter().map(|mount| format!("{:?} {}", mount.source, mount.target)).collect();
    assert_eq!(mounts.len(), 2, "{mounts:?}");
    assert!(mounts[0].contains("/c") && mounts[0].ends_with("/data"), "{mounts:?}");
    let ports: Vec<(Option<u16>, u16)> = db.ports.iter().map(|port| (port.host_port, port.container_port)).collect();
    assert_eq!(ports, [(Some(8080), 80), (Some(8081), 81), (Some(8082), 82), (Some(9000), 90)]);
}

#[test]
fn errors_point_into_their_file() {
    service("    usr: a\n").says(
        "compose.yaml:3:5: unknown key `usr` in `service`\n  \
           3 |     usr: a\n    \
             |     ^^^\n\
         hint: did you mean `user`?",
    );
    over(&BASE.replace("image: web:1", "image: web:1\n    usr: a"), "services: { web: { user: a } }\n").says(
        "base.yaml:4:5: unknown key `usr` in `service`\n  \
           4 |     usr: a\n    \
             |     ^^^\n\
         hint: did you mean `user`?",
    );
    service("    healthcheck: [a]\n").says(
        "compose.yaml:3:5: `healthcheck` is a list here, which cannot be merged with a map in the file before\n  \
           3 |     healthcheck: [a]\n    \
             |     ^^^^^^^^^^^\n\
         hint: write it in the same form, or replace it: `healthcheck: !override …`",
    );
}

#[test]
fn relative_paths_start_at_the_project_folder() {
    let case =
        Case::new("services: { web: { build: . } }\n").file("sub/base.yaml", "services: { web: { build: ./app } }\n");
    let context = |request: &LoadRequest| match &load(request).expect("loaded").project.accessories[0].service.image {
        ImageSource::Build(build) => build.context.display().to_string(),
        ImageSource::Pull { .. } => unreachable!("it is built"),
    };
    let files = vec!["sub/base.yaml".into(), "compose.yaml".into()];
    let request = LoadRequest { files, ..case.request() };
    assert_eq!(context(&request), case.path("sub"));
    let other = LoadRequest { project_folder: Some("other".into()), ..request };
    assert_eq!(context(&other), case.path("other"));
}

#[test]
fn documents_of_a_file_are_merged_like_files() {
    let case = Case::new(&format!("{BASE}---\nservices: {{ web: {{ user: a }} }}\n---\n"));
    assert_eq!(case.container().user.as_deref(), Some("a"));
}

#[test]
fn a_service_extends_one_of_this_or_another_file() {
    let case = Case::new(
        "services:\n  web:\n    extends: { file: common/base.yaml, service: web }\n    environment: [C=3]\n    \
         x-deploy-apps: {}\n  worker: { extends: web, user: a }\n",
    )
    .file(
        "common/base.yaml",
        "services:\n  web:\n    extends: { service: root }\n    build: ./app\n    environment: { B: \"2\" }\n  \
         root: { environment: { A: \"1\" }, env_file: root.env }\n",
    )
    .file("common/root.env", "Z=0\n");
    let project = case.project();
    let worker = &project.apps[1].service;
    let variables: Vec<String> =
        worker.container.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(variables, ["Z=0", "A=1", "B=2", "C=3"]);
    assert_eq!(worker.container.user.as_deref(), Some("a"));
    assert!(
        matches!(&worker.image, ImageSource::Build(build) if build.context.display().to_string() == case.path("common/app"))
    );
}

#[test]
fn invalid_or_cyclic_extends_are_refused() {
    Case::new("services:\n  web: { image: a, extends: bse }\n  base: { image: a }\n").says(
        "compose.yaml:2:29: `extends` names `bse`, which is not a service of `compose.yaml`\n  \
           2 |   web: { image: a, extends: bse }\n    \
             |                             ^^^\n\
         hint: did you mean `base`?",
    );
    Case::new("services:\n  web: { extends: { file: none.yaml, service: a } }\n").says(
        "compose.yaml:2:27: extended file `none.yaml` does not exist\n  \
           2 |   web: { extends: { file: none.yaml, service: a } }\n    \
             |                           ^^^^^^^^^\n\
         hint: check its path",
    );
    Case::new("services:\n  a: { extends: b }\n  b: { extends: c }\n  c: { extends: a }\n").says(
        "compose.yaml:4:8: services extend each other in a circle: `a` → `b` → `c` → `a`\n  \
           4 |   c: { extends: a }\n    \
             |        ^^^^^^^\n\
         hint: remove one of these `extends`",
    );
    Case::new("services:\n  a: { extends: { file: o.yaml, service: b } }\n")
        .file("o.yaml", "services:\n  b: { extends: { file: compose.yaml, service: a } }\n")
        .says(
            "o.yaml:2:8: services extend each other in a circle: `a` in `compose.yaml` → `b` in `o.yaml` → \
             `a` in `compose.yaml`\n  \
               2 |   b: { extends: { file: compose.yaml, service: a } }\n    \
                 |        ^^^^^^^\n\
             hint: remove one of these `extends`",
        );
}

#[test]
fn an_included_project_keeps_its_own_paths_and_variables() {
    let case =
        Case::new("include: [db/compose.yaml]\nservices: { web: { image: \"web:${TAG}\", depends_on: [db] } }\n")
            .file(".env", "TAG=outer\n")
            .file(
                "db/compose.yaml",
                "services: { db: { build: ., environment: [WHO], hostname: \"h-${TAG}-${OWN}\" } }\n",
            )
            .file("db/.env", "TAG=inner\nOWN=own\nWHO=db\n");
    let project = case.project();
    let db = &project.accessories.values().find(|found| found.service.name.as_str() == "db").expect("db").service;
    assert!(matches!(&db.image, ImageSource::Build(build) if build.context.display().to_string() == case.path("db")));
    assert_eq!(db.container.hostname.as_deref(), Some("h-outer-own"));
    assert_eq!(db.container.environment["WHO"], "db");
}

#[test]
fn an_include_takes_several_files_a_folder_and_env_files() {
    let case = Case::new(
        "include:\n  - path: [a/one.yaml, two.yaml]\n    project_directory: other\n    env_file: [x.env]\n\
         services: { web: { image: web } }\n",
    )
    .file("a/one.yaml", "services: { db: { build: ./x, user: \"${U}\" } }\n")
    .file("two.yaml", "services: { db: { hostname: two } }\n")
    .file("x.env", "U=me\n");
    let project = case.project();
    let db = &project.accessories.values().find(|found| found.service.name.as_str() == "db").expect("db").service;
    assert_eq!((db.container.user.as_deref(), db.container.hostname.as_deref()), (Some("me"), Some("two")));
    assert!(
        matches!(&db.image, ImageSource::Build(build) if build.context.display().to_string() == case.path("other/x"))
    );
}

#[test]
fn missing_or_cyclic_includes_are_refused() {
    let same = "services: { db: { image: db } }\n";
    Case::new(&format!("include: [b.yaml]\n{same}")).file("b.yaml", same).project();
    Case::new("include:\n  - none.yaml\nservices: {}\n").says(
        "compose.yaml:2:5: included file `none.yaml` does not exist\n  \
           2 |   - none.yaml\n    \
             |     ^^^^^^^^^\n\
         hint: check its path",
    );
    Case::new("include: [a/b.yaml]\nservices: {}\n")
        .file("a/b.yaml", "include: [../compose.yaml]\nservices: {}\n")
        .says(
            "a/b.yaml:1:11: files include each other in a circle: `compose.yaml` → `a/b.yaml` → `compose.yaml`\n  \
           1 | include: [../compose.yaml]\n    \
             |           ^^^^^^^^^^^^^^^\n\
         hint: remove one of these includes",
        );
    Case::new("include: [\"https://example.com/a.git\"]\nservices: {}\n").refuses(
        "1:11: `https://example.com/a.git` is not a file",
        "fetch it first, and name the file; remote files are not read",
    );
}

#[test]
fn services_are_activated_by_profile_or_name() {
    let case = Case::new(
        "services:\n  web: { image: web, x-deploy-apps: {} }\n  admin: { image: a, profiles: [ops, dev], x-deploy-apps: {} }\n  \
         tool: { image: t, profiles: [tool] }\n",
    );
    let names = |request: &LoadRequest| {
        let project = load(request).expect("loaded").project;
        let apps = project.apps.keys().chain(project.accessories.keys()).map(ToString::to_string);
        apps.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&case.request()), "web");
    assert_eq!(names(&LoadRequest { profiles: vec!["ops".to_owned()], ..case.request() }), "web admin");
    assert_eq!(names(&LoadRequest { profiles: vec!["*".to_owned()], ..case.request() }), "web admin tool");
    assert_eq!(names(&LoadRequest { named: vec!["admin".to_owned()], ..case.request() }), "web admin");
    let case = case.env("COMPOSE_PROFILES", "tool, dev");
    assert_eq!(names(&case.request()), "web admin tool");
    assert_eq!(case.loaded().profiles, ["dev", "ops", "tool"]);
}

#[test]
fn names_of_apps_do_not_depend_on_profiles() {
    let case = Case::new(
        "services:\n  web: { image: w, x-deploy-apps: { port: 80 } }\n  job: { image: j, x-deploy-apps: {} }\n  \
         admin: { image: a, profiles: [ops], x-deploy-apps: { port: 81 } }\n  db: { image: d, profiles: [ops] }\n",
    );
    for profiles in [vec![], vec!["ops".to_owned()], vec!["*".to_owned()]] {
        let project = load(&LoadRequest { profiles, ..case.request() }).expect("loaded").project;
        assert_eq!(project.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["admin", "web"]);
    }
}

#[test]
fn a_dependency_on_an_inactive_service_is_refused() {
    let tool = "  tool: { image: t, profiles: [ops, dev] }\n";
    Case::new(&format!("services:\n  web: {{ image: web, depends_on: [tool] }}\n{tool}")).says(
        "compose.yaml:2:35: `web` depends on `tool`, whose profile `ops` or `dev` is not active\n  \
           2 |   web: { image: web, depends_on: [tool] }\n    \
             |                                   ^^^^\n\
         hint: activate it with `--profile ops`, or say `required: false`",
    );
    let optional = "{ tool: { condition: service_started, required: false } }";
    Case::new(&format!("services:\n  web: {{ image: web, depends_on: {optional} }}\n{tool}")).project();
}

#[test]
fn named_env_files_replace_dotenv() {
    let case = Case::new("services: { web: { image: \"${A-unset}-${B-unset}-${C-unset}\" } }\n")
        .file(".env", "A=dot\nB=dot\n")
        .file("one.env", "B=one\nC=one\n")
        .file("two.env", "C=two-$B\n");
    let image =
        |request: &LoadRequest| format!("{:?}", load(request).expect("loaded").project.accessories[0].service.image);
    assert!(image(&case.request()).contains("dot-dot-unset"));
    let request = LoadRequest { env_files: vec!["one.env".into(), "two.env".into()], ..case.request() };
    assert!(image(&request).contains("unset-one-two-one"), "{}", image(&request));
    let case = case.env("COMPOSE_ENV_FILES", "one.env");
    assert!(image(&case.request()).contains("unset-one-one"));
    let missing = LoadRequest { env_files: vec!["no.env".into()], ..case.request() };
    let text = load(&missing).expect_err("missing").to_string();
    assert_eq!(text, format!("`{}` does not exist\nhint: check its path", case.path("no.env")));
}

#[test]
fn dotenv_may_set_files_and_profiles() {
    let case = Case::new("nonsense")
        .file("a/mine.yaml", "services: { web: { image: a, profiles: [p], hostname: \"${H}\" } }\n")
        .file(".env", "COMPOSE_FILE=a/mine.yaml\nCOMPOSE_PROFILES=p\nH=here\n")
        .file("a/.env", "H=there\n");
    assert_eq!(case.container().hostname.as_deref(), Some("here"));
}

#[test]
fn the_number_of_files_and_links_is_bounded() {
    let mut services = String::from("services:\n  s0: { image: a }\n");
    for n in 1..200 {
        services += &format!("  s{n}: {{ extends: s{} }}\n", n - 1);
    }
    let error = Case::new(&services).error();
    assert!(error.contains("services extend each other more than 50 levels deep"), "{error}");
    let wide: String = (0..3000).map(|n| format!("      A{n}: b\n")).collect();
    let copies: String = (0..200).map(|n| format!("  s{n}: {{ extends: base }}\n")).collect();
    let error = Case::new(&format!("services:\n  base:\n    image: a\n    environment:\n{wide}{copies}")).error();
    assert!(error.contains("more than 200000 values in all files together"), "{error}");
    let mut case = Case::new("include: [f0.yaml]\nservices: {}\n");
    for n in 0..60 {
        case = case.file(&format!("f{n}.yaml"), &format!("include: [f{}.yaml]\nservices: {{}}\n", n + 1));
    }
    assert!(case.error().contains("files include each other more than 50 levels deep"), "{}", case.error());
}

#[test]
fn warnings_about_an_extended_service_appear_once() {
    let case = Case::new(
        "services:\n  base: { image: a, attach: false }\n  one: { extends: base }\n  two: { extends: base }\n",
    );
    assert_eq!(case.warnings(), ["compose.yaml:2:21: `attach` has no effect: logs are read with `deploy-apps logs`"]);
}
