//! Selection of the file, the project's name, `.env` and versions.

use super::Case;
use crate::compose::error::ComposeErrorKind;
use crate::compose::load;
use crate::compose::request::LoadRequest;
use crate::compose::select;

const ONE: &str = "services: { web: { image: a, x-deploy-apps: {} } }\n";

#[test]
fn the_file_is_searched_in_parent_folders() {
    let case = Case::new(ONE).file("a/b/other.txt", "");
    let request = LoadRequest { folder: case.path("a/b").into(), ..case.request() };
    let loaded = load(&request).expect("found above");
    assert_eq!(loaded.file.display().to_string(), case.path("compose.yaml"));
    assert_eq!(loaded.project.folder.display().to_string(), case.path("").trim_end_matches('/'));

    let empty = tempfile::tempdir().expect("a folder");
    let error = load(&LoadRequest { folder: empty.path().to_owned(), ..LoadRequest::default() }).expect_err("nothing");
    assert_eq!(error.kind, ComposeErrorKind::NoFile);
    let text = format!(
        "no `compose.yaml` in `{}` or above it\nhint: go to the project's folder, or name the file: `-f FILE`",
        empty.path().display()
    );
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_second_file_is_named() {
    let two = Case::new(ONE).file("docker-compose.yml", ONE);
    assert_eq!(two.warnings(), ["`compose.yaml` is used, not `docker-compose.yml` beside it"]);
    let chosen = Case::new("nonsense").file("mine.yaml", ONE).env("COMPOSE_FILE", "mine.yaml").loaded();
    assert!(chosen.file.ends_with("mine.yaml"));
}

#[test]
fn the_projects_name_has_four_sources() {
    let named = format!("name: from-${{WHERE:-file}}\n{ONE}");
    let name = |case: &Case, option: Option<&str>| {
        let request = LoadRequest { project_name: option.map(str::to_owned), ..case.request() };
        load(&request).map(|loaded| loaded.project.name.to_string()).map_err(|error| error.to_string())
    };
    let case = Case::new(&named).file("My App-2/compose.yaml", ONE).env("WHERE", "env");
    assert_eq!(name(&case, Some("option")).as_deref(), Ok("option"));
    assert_eq!(name(&case, None).as_deref(), Ok("from-env"));
    let case = Case::new(&named).file(".env", "COMPOSE_PROJECT_NAME=dotenv\n");
    assert_eq!(name(&case, None).as_deref(), Ok("dotenv"));
    let case = Case::new(ONE).file("My App-2/compose.yaml", ONE);
    let request = LoadRequest { folder: case.path("My App-2").into(), ..LoadRequest::default() };
    assert_eq!(load(&request).expect("a name from the folder").project.name.as_str(), "myapp-2");
    let rule = "use lowercase letters, digits, `-` and `_`, starting with a letter or digit, at most 40 characters";
    assert_eq!(name(&case, Some("A b")), Err(format!("`A b` is not a project name\nhint: {rule}")));
}

#[test]
fn the_environment_wins_over_dotenv_and_both_reach_the_file() {
    let case = Case::new("services: { web: { image: \"a:${A}-${B}-${COMPOSE_PROJECT_NAME}\" } }\n")
        .file(".env", "A=1\nB=$A.5\n")
        .env("A", "2");
    let project = case.project();
    let shown = format!("{:?}", project.accessories[0].service.image);
    assert!(shown.contains("a:2-2.5-sample"), "{shown}");
    let broken = Case::new(ONE).file(".env", "A=1\nB C=2\n");
    let text =
        format!("{}:2: `B C` is not a variable's name\nhint: write `NAME=value`, one to a line", broken.path(".env"));
    assert_eq!(broken.error(), text);
}

#[test]
fn a_missing_required_variable_is_an_error() {
    Case::new("services:\n  web: { image: \"a:${TAG:?which version?}\", hostname: h, user: \"${A\" }\n").says(
        "compose.yaml:2:20: required variable `TAG` is not set: which version?\n  \
           2 |   web: { image: \"a:${TAG:?which version?}\", hostname: h, user: \"${A\" }\n    \
             |                    ^^^^^^^^^^^^^^^^^^^^^^\n\
         hint: set it: `export TAG=…`, or put it into `.env`\n\n\
         compose.yaml:2:65: invalid variable `${A`\n  \
           2 |   web: { image: \"a:${TAG:?which version?}\", hostname: h, user: \"${A\" }\n    \
             |                                                                 ^^^\n\
         hint: write `${NAME}`, `${NAME:-default}` or, for a dollar sign, `$$`",
    );
}

#[test]
fn the_nearest_version_is_used() {
    let build = "services: { web: { build: app, x-deploy-apps: {} } }\n";
    let version = |case: Case| case.loaded().project.apps[0].version.clone();
    assert_eq!(version(Case::new(build).file("app/VERSION", " 1.2.3 \n").file("VERSION", "9\n")), "1.2.3");
    assert_eq!(version(Case::new(build).file("VERSION", "9\n")), "9");
    assert_eq!(version(Case::new(build)), "0");
    assert_eq!(version(Case::new(&ONE.replace("image: a", "image: \"r:5/a:7.1\"")).file("VERSION", "9\n")), "7.1");
    assert_eq!(version(Case::new(&ONE.replace("image: a", "image: \"a:latest\"")).file("VERSION", "9\n")), "9");
    assert_eq!(version(Case::block("      version: 1.10\n")), "1.10");
    let odd = Case::new(build).file("app/VERSION", "not a version\n");
    let text = format!(
        "`{}` starts with `not a version`, which is no version \
         (hint: write one line of at most 64 printable ASCII characters, such as `1.4.0`)",
        odd.path("app/VERSION")
    );
    assert_eq!(odd.warnings(), [text]);
}

#[test]
fn apps_are_selected_by_name() {
    let file = "services: { go-app: { image: a, x-deploy-apps: {} }, node-app: { image: a, x-deploy-apps: {} }, db: { image: d } }\n";
    let project = Case::new(file).project();
    let chosen = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        select(&project, &names)
            .map(|apps| apps.iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(|error| (error.kind, error.to_string()))
    };
    assert_eq!(chosen(&["node-app", "go-app", "node-app"]), Ok(vec!["node-app".to_owned(), "go-app".to_owned()]));
    let refused = |text: &str| Err((ComposeErrorKind::UnknownApp, text.to_owned()));
    assert_eq!(chosen(&[]), refused("no app is named\nhint: name some of: go-app node-app"));
    assert_eq!(
        chosen(&["go-ap", "xyz", "db"]),
        refused(
            "unknown app `go-ap`\nhint: did you mean `go-app`?\n\n\
             unknown app `xyz`\nhint: the apps are: go-app node-app\n\n\
             service `db` has no `x-deploy-apps` block, so it is not rolled\n\
             hint: add the block to roll it; as an accessory it is created when an app that depends on it is deployed, or by its \
             name"
        )
    );
    let none = select(&Case::new("services: { db: { image: d } }\n").project(), &["db".to_owned()]);
    assert_eq!(
        none.expect_err("no apps").to_string(),
        "project `sample` has no apps: no service that takes part has an `x-deploy-apps` block\n\
         hint: add `x-deploy-apps: { port: 8080 }` to the service that is to be rolled, or let one take part with \
         `--profile`"
    );
}
