//! Files that are not compose files, or not YAML.

use super::Case;
use crate::compose::error::ComposeErrorKind;
use crate::compose::load;

#[test]
fn invalid_yaml_is_reported_with_position() {
    Case::new("services:\n  web: [a, b\n").says(
        "compose.yaml:2:8: not valid YAML: unclosed bracket '['\n  \
           2 |   web: [a, b\n    \
             |        ^\n\
         hint: check indentation, quotes and colons around here",
    );
    let tab = Case::new("services:\n\tweb: 1\n").error();
    assert!(tab.starts_with("compose.yaml:2:") && tab.contains("tab"), "{tab}");
}

#[test]
fn a_root_without_services_is_refused() {
    let needs = "it needs `services:` with at least one service in it";
    Case::new("").refuses("1:1: the file is empty", needs);
    Case::new("# nothing\n").refuses("1:1: the file is empty", needs);
    Case::new("~\n").refuses("1:1: the file is empty", needs);
    Case::new("- a\n").refuses("1:1: a compose file must be a map, not a list", needs);
    Case::new("hello\n").refuses("1:1: a compose file must be a map, not `hello`", needs);
    Case::new("name: a\n").refuses("1:1: the file has no `services`", needs);
    Case::new("services:\n").refuses("1:1: `services` is empty", needs);
    // The output of `config` when all services have inactive profiles.
    assert!(Case::new("services: {}\n").project().apps.is_empty());
    Case::new("services: [a]\n").refuses("1:1: `services` must be a map of services, not a list", needs);
    Case::new("services:\n  web:\n")
        .refuses("2:3: service `web` must be a map, not nothing", "give it `image` or `build`");
    Case::new("services:\n  web: { x-deploy-apps: {} }\n")
        .refuses("2:3: service `web` has neither `build` nor `image`", "add `build: .` or `image: name:tag`");
    let services: String = (0..1001).map(|n| format!("  s{n}: {{ image: a }}\n")).collect();
    Case::new(&format!("services:\n{services}"))
        .refuses("1002:3: more than 1000 services", "split them over several compose files");
}

#[test]
fn a_key_may_appear_once() {
    Case::app("    image: web:2\n").says(
        "compose.yaml:5:5: key `image` appears twice, first in line 3\n  \
           5 |     image: web:2\n    \
             |     ^^^^^\n\
         hint: keep one of them",
    );
    Case::new("a: &a { b: 1 }\nservices:\n  web:\n    <<: *a\n    <<: *a\n")
        .refuses("5:5: key `<<` appears twice, first in line 4", "give it a list: `<<: [*a, *b]`");
}

#[test]
fn merge_keys_do_not_replace_entries() {
    let case = Case::new(
        "x-one: &one { A: one, B: one, C: one }\nx-two: &two { C: two, D: two }\nservices:\n  web:\n    image: a\n    \
         environment: { A: own, <<: [*one, *two], E: own, \"<<\": quoted }\n",
    );
    let variables: Vec<String> =
        case.container().environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(variables, ["A=own", "E=own", "<<=quoted", "B=one", "C=one", "D=two"]);
    Case::new("services:\n  web:\n    <<: 5\n")
        .refuses("3:5: `<<` takes a map or a list of maps, not `5`", "use an alias of a map: `<<: *defaults`");
}

#[test]
fn tags_of_other_tools_are_refused_by_name() {
    Case::app("    user: !mine a\n").refuses("5:17: unknown tag `!mine`", "remove it, or quote the text");
    Case::app("    user: !!str 5\n").project();
}

#[test]
fn nested_aliases_are_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        let inner = vec![format!("*a{}", n - 1); 10].join(", ");
        text += &format!("a{n}: &a{n} [{inner}]\n");
    }
    let error = Case::new(&text).error();
    assert!(error.contains("more than 200000 values after aliases are put in"), "{error}");
    let deep = format!("services: {}{}", "[".repeat(100), "]".repeat(100));
    assert!(Case::new(&deep).error().contains("nested more than 64 levels deep"));
}

#[test]
fn keys_must_be_text() {
    Case::new("? [a]\n: b\n").refuses("1:3: a key must be text, not a list or map", "quote it if it is text");
    let error = Case::new("a: &a [*a]\n").error();
    assert!(error.starts_with("compose.yaml:1:"), "{error}");
}

#[test]
fn columns_count_characters() {
    Case::new("services:\n  web: { image: a, hostname: \"\u{e4} \u{f6}\", nope: 1 }\n").says(
        "compose.yaml:2:30: `hostname` must be at most 63 bytes without blanks, not `ä ö`\n  \
           2 |   web: { image: a, hostname: \"ä ö\", nope: 1 }\n    \
             |                              ^^^^^\n\n\
         compose.yaml:2:37: unknown key `nope` in `service`\n  \
           2 |   web: { image: a, hostname: \"ä ö\", nope: 1 }\n    \
             |                                     ^^^^\n\
         hint: remove it, or start its name with `x-` if it is yours",
    );
    let long = format!("services: {{ web: {{ image: a, x-a: \"{}\", nope: 1 }} }}\n", "y".repeat(300));
    let lines: Vec<String> = Case::new(&long).error().lines().map(str::to_owned).collect();
    assert!(lines[1].len() < 140 && lines[1].contains("nope"), "{lines:?}");
    assert_eq!(lines[1].find("nope"), lines[2].find('^'), "{lines:?}");
}

#[test]
fn an_unreadable_file_is_reported_with_the_reason() {
    let case = Case::new("services: {}\n");
    let with =
        |file: &str| load(&super::LoadRequest { files: vec![file.into()], ..case.request() }).expect_err("refused");
    let missing = with("other.yaml");
    assert_eq!(missing.kind, ComposeErrorKind::NotFound);
    assert_eq!(missing.to_string(), "`other.yaml` does not exist\nhint: check its path");
    assert_eq!(with(".").to_string(), "`.` is a folder\nhint: name the file in it");
    std::fs::write(case.path("latin1.yaml"), b"a: 1\nb: \xe4\n").expect("a file");
    assert_eq!(with("latin1.yaml").to_string(), "`latin1.yaml` is not UTF-8 text (line 2)\nhint: save it as UTF-8");
    std::fs::write(case.path("huge.yaml"), vec![b'#'; (1 << 20) + 1]).expect("a file");
    let huge = "`huge.yaml` is larger than 1 MiB\nhint: check that it is the right file";
    assert_eq!(with("huge.yaml").to_string(), huge);
}
