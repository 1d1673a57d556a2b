//! The plan as a comment of a pull request. The marker in the first line identifies the comment to the next run.

use super::summary;
use crate::model::ProjectName;
use crate::plan::{AppPlan, Preview, Verdict};
use crate::report::text;

/// GitHub rejects comments above 65,536 characters, so the last steps are cut before the table is.
const MOST_STEPS: usize = 48_000;

/// The same plan gives the same text, so a comment is updated only when something changed.
#[must_use]
pub fn plan_markdown(project: &ProjectName, preview: &Preview) -> String {
    let mut text = format!("<!-- deploy-apps plan {project} -->\n### Deploy plan for `{project}`\n\n");
    text += &format!("**{}**\n\n", sentence(&summary(preview)));
    if !preview.plan.apps.is_empty() {
        text += "| app | release | version | replicas | what changes | why |\n| --- | --- | --- | ---: | --- | --- |\n";
        for app in &preview.plan.apps {
            text += &row(app);
        }
        text.push('\n');
    }
    let orphans: Vec<String> = preview.orphans.iter().map(|orphan| format!("{orphan}; {}", orphan.remedy())).collect();
    let unknowns: Vec<String> = preview.unknowns.iter().map(ToString::to_string).collect();
    let warnings = preview.plan.apps.iter().flat_map(|app| &app.warnings).chain(&unknowns).chain(&orphans);
    let warnings: String = warnings.map(|warning| format!("- ⚠ {}\n", inline(warning))).collect();
    if !warnings.is_empty() {
        text += &format!("{warnings}\n");
    }
    text + &folded(&preview.to_string(), preview.steps().count())
}

fn row(app: &AppPlan) -> String {
    if let Some(change) = app.verdict.accessory() {
        return format!("| {} | | | | {} | |\n", code(app.app.app.as_str()), change.words());
    }
    let release = match app.from {
        Some(from) if from != app.release.number => format!("{from} → {}", app.release.number),
        _ => app.release.number.to_string(),
    };
    let what = match app.verdict {
        Verdict::Deploy if app.from.is_none() => "first release",
        Verdict::Deploy => "new release",
        Verdict::Adjust => "adjusted",
        Verdict::Remove => "removed",
        Verdict::Rollback => "rolled back",
        Verdict::UpToDate if !app.changes_nothing() => "leftovers are cleaned",
        Verdict::UpToDate | Verdict::Accessory(_) => "nothing",
    };
    let why = app.flip.as_ref().map_or(String::new(), |flip| inline(&flip.because.0));
    let (name, version) = (code(app.app.app.as_str()), code(&app.release.version));
    format!("| {name} | {release} | {version} | {} | {what} | {why} |\n", app.replicas)
}

/// The steps, collapsed.
fn folded(steps: &str, count: usize) -> String {
    if count == 0 {
        return String::new();
    }
    let (shown, cut) = match steps.char_indices().nth(MOST_STEPS) {
        Some((end, _)) => (&steps[..end], "\n… and more; see the log\n"),
        None => (steps, ""),
    };
    let fence = "`".repeat(longest_ticks(shown).max(2) + 1);
    let count = text::count(count as u64, "step");
    format!("<details><summary>{count}</summary>\n\n{fence}text\n{shown}{cut}{fence}\n\n</details>\n")
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Escapes text for one line of Markdown, also in a table; code spans stay code.
pub(in crate::report) fn inline(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd number of parts means an even number of backticks, so each has its partner.
    let is_paired = parts.len() % 2 == 1;
    let shown = |(index, part): (usize, &&str)| match (is_paired, index % 2) {
        (true, 1) => code(part),
        _ => escaped(part),
    };
    let shown: Vec<String> = parts.iter().enumerate().map(shown).collect();
    shown.join(if is_paired { "" } else { "\\`" })
}

fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => safe.push(' '),
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            // An `@` before a name would notify its user.
            '@' => safe += "&#64;",
            '|' | '*' | '_' | '[' | ']' | '\\' | '~' | '#' => {
                safe.push('\\');
                safe.push(c);
            }
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

/// Any text as a code span, also in a table.
pub(in crate::report) fn code(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let fence = "`".repeat(longest_ticks(&line) + 1);
    let space = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    // A table is split into cells before code spans are parsed.
    format!("{fence}{space}{}{space}{fence}", line.replace('|', "\\|"))
}

fn longest_ticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
