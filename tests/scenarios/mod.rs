//! What may happen around a deploy, and the tests that prove what then happens; `docs/reference/scenarios.md` is made of it.

mod table;

use std::fmt::Write;
use std::path::{Path, PathBuf};

pub use table::SCENARIOS;

pub struct Scenario {
    pub situation: &'static str,
    pub expected: &'static str,
    /// Each as `target::module::…::function`, where the library's own tests have the target `lib`.
    pub tests: &'static [&'static str],
    /// A public account of somebody else's trouble with it.
    pub elsewhere: Option<&'static str>,
}

/// Where the tests of each target lie.
pub const TARGETS: [(&str, &str); 5] =
    [("e2e", "tests/e2e"), ("it", "tests/it"), ("lua", "tests/lua"), ("docker", "tests/docker"), ("lib", "src")];

/// The document that the scenarios make.
pub fn document() -> PathBuf {
    root().join("docs/reference/scenarios.md")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The name of a test as a run prints it: without its target.
pub fn printed(test: &str) -> &str {
    test.split_once("::").map_or(test, |(_, name)| name)
}

/// The file in which a test is, or why it is in none.
pub fn file_of(test: &str) -> Result<String, String> {
    let (target, name) = test.split_once("::").ok_or_else(|| format!("`{test}` has no target"))?;
    let known = TARGETS.iter().find(|(known, _)| *known == target);
    let (_, folder) = known.ok_or_else(|| format!("`{test}`: there is no target `{target}`"))?;
    let (module, function) = name.rsplit_once("::").ok_or_else(|| format!("`{test}` has no module"))?;
    let module = module.replace("::", "/");
    let places = [format!("{folder}/{module}.rs"), format!("{folder}/{module}/mod.rs")];
    let found = places.into_iter().find(|place| root().join(place).is_file());
    let place = found.ok_or_else(|| format!("`{test}`: there is no such module"))?;
    let text = std::fs::read_to_string(root().join(&place)).map_err(|error| format!("{place}: {error}"))?;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {function}(");
    let is_test =
        |at: usize| lines[..at].iter().rev().take(3).any(|line| line.starts_with("#[") && line.contains("test"));
    match lines.iter().position(|line| line.contains(&head)) {
        Some(at) if is_test(at) => Ok(place),
        Some(_) => Err(format!("`{test}` is a function of {place}, but no test")),
        None => Err(format!("`{test}`: {place} has no such test")),
    }
}

/// `docs/reference/scenarios.md`. `result` says how the run of a scenario's tests ended.
pub fn render(result: impl Fn(&Scenario) -> String) -> String {
    let mut text = HEAD.to_owned();
    for (at, scenario) in SCENARIOS.iter().enumerate() {
        let tests = scenario.tests.iter().map(|test| {
            let (target, _) = test.split_once("::").unwrap_or_default();
            let file = file_of(test).unwrap_or_default();
            format!("[`{target}` `{}`](../../{file})", printed(test))
        });
        let tests = tests.collect::<Vec<_>>().join("<br>");
        let elsewhere = scenario.elsewhere.map_or_else(String::new, |link| format!(" ([elsewhere]({link}))"));
        let (number, result) = (at + 1, result(scenario));
        let Scenario { situation, expected, .. } = scenario;
        let row = writeln!(text, "| {number} | {situation}{elsewhere} | {expected} | {tests} | {result} |");
        row.expect("text takes whatever is written to it");
    }
    text
}

const HEAD: &str = "# Scenarios

What may happen around a deploy, what is to come of it, and the tests that prove it. *elsewhere* leads to a public account of a case in which
other software did otherwise.

The table is generated from a run of these tests: `UPDATE_DOCS=1 tests/run --scenarios` runs them and writes it again. `tests/run` fails when one
of them has not passed, does not exist, or when the table says something else; see [testing.md](../internals/testing.md).

| # | what happens | what is expected | tests | result |
| --- | --- | --- | --- | --- |
";
