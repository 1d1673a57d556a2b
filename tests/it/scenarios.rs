//! Every scenario names tests that exist, and `docs/reference/scenarios.md` says what the table says.

use regex::Regex;

#[path = "../scenarios/mod.rs"]
mod proofs;

use proofs::{SCENARIOS, TARGETS, document, file_of, printed, render};

#[test]
fn every_scenario_names_tests_that_exist() {
    let mut wrong: Vec<String> = Vec::new();
    for (at, scenario) in SCENARIOS.iter().enumerate() {
        if scenario.tests.is_empty() {
            wrong.push(format!("scenario {} has no test", at + 1));
        }
        wrong.extend(scenario.tests.iter().filter_map(|test| file_of(test).err()));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_test_that_does_not_exist_or_is_none_is_noticed() {
    let this = "it::scenarios::a_test_that_does_not_exist_or_is_none_is_noticed";
    assert_eq!(file_of(this).as_deref(), Ok("tests/it/scenarios.rs"));
    for (test, why) in [
        ("it::scenarios::no_such_test", "has no such test"),
        ("it::no_such_module::a_test", "no such module"),
        ("nowhere::scenarios::a_test", "no target `nowhere`"),
        ("it::fixture::name", "but no test"),
    ] {
        let error = file_of(test).expect_err(test);
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_runs_output_tells_the_tests_apart() {
    let mut namesakes: Vec<String> = Vec::new();
    for test in SCENARIOS.iter().flat_map(|scenario| scenario.tests) {
        let others = TARGETS.iter().map(|(target, _)| format!("{target}::{}", printed(test)));
        namesakes.extend(others.filter(|other| other != test && file_of(other).is_ok()));
    }
    assert_eq!(namesakes, Vec::<String>::new(), "rename one of each two");
}

#[test]
fn the_document_says_what_the_table_says() {
    // It is written when the tests that it names have run.
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return;
    }
    let text = std::fs::read_to_string(document()).unwrap_or_default();
    let date = Regex::new(r"\| passed \d{4}-\d\d-\d\d \|").expect("a pattern");
    let wanted = render(|_| "passed".to_owned());
    assert!(
        date.replace_all(&text, "| passed |") == wanted,
        "docs/reference/scenarios.md is stale: `UPDATE_DOCS=1 tests/run --scenarios`"
    );
}
