//! Renders a run as lines of text. Pure: the same run, time and size give the same lines.

use std::time::Duration;

use console::{Style, measure_text_width, pad_str, truncate_str};

use super::block::{Block, Line};
use super::row::{Piece, Row, Tone};
use super::run::Run;
use super::text;
use crate::event::Outcome;

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const SEPARATOR: &str = " · ";
/// Minimum width for a build's output; less would not be readable.
const LEAST_MORE: usize = 12;
/// Interval between frames of the spinner.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// The size of the terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub width: usize,
    pub height: usize,
}

/// Colours text, or returns it unchanged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    pub colour: bool,
}

impl Paint {
    fn tone(self, tone: Tone, text: &str) -> String {
        let style = Style::new();
        let style = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Success => style.green(),
            Tone::Error => style.red(),
            Tone::Warning => style.yellow(),
            Tone::Dim => style.dim(),
            Tone::Hint | Tone::Busy => style.cyan(),
        };
        style.force_styling(self.colour).apply_to(text).to_string()
    }

    fn bold(self, text: &str) -> String {
        Style::new().bold().force_styling(self.colour).apply_to(text).to_string()
    }
}

/// Widths of the columns before the free text.
#[derive(Default)]
struct Columns {
    name: usize,
    release: usize,
    version: usize,
}

impl Columns {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        rows.fold(Self::default(), |columns, row| Self {
            name: columns.name.max(measure_text_width(row.name())),
            release: columns.release.max(measure_text_width(&row.release())),
            version: columns.version.max(measure_text_width(row.version())),
        })
    }

    fn head(&self, row: &Row, paint: Paint) -> String {
        let pad = |text: &str, width| pad_str(text, width, console::Alignment::Left, None).into_owned();
        let mut head = paint.bold(&pad(row.name(), self.name));
        if self.release > 0 {
            head += &format!("  {}  {}", pad(&row.release(), self.release), pad(row.version(), self.version));
        }
        head + "   "
    }

    /// Layouts from widest to narrowest: without the version, without the release, with shortened names.
    fn heads(&self, row: &Row, width: usize, paint: Paint) -> [String; 4] {
        let pad = |text: &str, width| pad_str(text, width, console::Alignment::Left, None).into_owned();
        let name = paint.bold(&pad(row.name(), self.name));
        let with_release = match self.release {
            0 => format!("{name}   "),
            release => format!("{name}  {}   ", pad(&row.release(), release)),
        };
        let short = self.name.min(width / 3);
        let short = paint.bold(&pad(&truncate_str(row.name(), short, "…"), short));
        [self.head(row, paint), with_release, format!("{name}  "), format!("{short}  ")]
    }
}

/// The lines that are redrawn while the run lasts. They never exceed the screen's width or height: a line that wrapped
/// or scrolled away could not be overwritten.
pub(super) fn live(run: &Run, now: Duration, size: Size, paint: Paint) -> Vec<String> {
    let rows: Vec<&Row> = run.rows.iter().filter(|row| row.is_moving() || row.has_result()).collect();
    // One line is reserved for the cursor.
    let room = size.height.saturating_sub(1).max(1);
    let (shown, hidden) = fit(&rows, room);
    let columns = Columns::of(shown.iter().copied());
    let spinner = SPINNER[(now.as_millis() / TICK.as_millis()) as usize % SPINNER.len()];
    // Some terminals wrap when the last column is used.
    let width = size.width.saturating_sub(1);
    let line = |row: &&Row| fitted(&columns.heads(row, width, paint), row, now, spinner, width, paint);
    let mut lines: Vec<String> = shown.iter().map(line).collect();
    if hidden > 0 {
        lines.push(paint.tone(Tone::Dim, &format!("… and {hidden} more")));
    }
    lines.iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
}

/// The rows that fit; unfinished ones have priority.
fn fit<'a>(rows: &[&'a Row], room: usize) -> (Vec<&'a Row>, usize) {
    if rows.len() <= room {
        return (rows.to_vec(), 0);
    }
    let moving = rows.iter().filter(|row| row.is_moving());
    let ended = rows.iter().filter(|row| !row.is_moving());
    let shown: Vec<&Row> = moving.chain(ended).take(room - 1).copied().collect();
    let hidden = rows.len() - shown.len();
    (shown, hidden)
}

/// Finished stages are dropped first, oldest first, then the columns on the left; the current stage or the outcome is
/// always visible.
fn fitted(heads: &[String; 4], row: &Row, now: Duration, spinner: &str, width: usize, paint: Paint) -> String {
    let toned = |piece: &Piece| match piece.tone {
        Tone::Busy => format!("{} {}", paint.tone(Tone::Busy, spinner), piece.text),
        tone => paint.tone(tone, &piece.text),
    };
    let join = |pieces: &[Piece]| pieces.iter().map(toned).collect::<Vec<_>>().join(SEPARATOR);
    let done = row.done();
    let (stage, gap) = match &row.end {
        Some(end) => (vec![row.ending(end)], "   "),
        None => (row.doing(now), SEPARATOR),
    };
    let mut stage: Vec<Piece> = stage.into_iter().filter(|piece| !piece.text.is_empty()).collect();
    // The last line of a build's output is truncated to the remaining width.
    let more: Vec<Piece> =
        if stage.len() > 1 { stage.extract_if(.., |piece| piece.tone == Tone::Dim).collect() } else { Vec::new() };
    let line = |head: &str, done: &[Piece], stage: &[Piece]| {
        let gap = if done.is_empty() { "" } else { gap };
        format!("{head}{}{gap}{}", join(done), join(stage))
    };
    let fits = |line: &String| measure_text_width(line) <= width;
    let with_less_behind = (0..=done.len()).map(|from| line(&heads[0], &done[from..], &stage));
    let with_less_before = heads[1..].iter().map(|head| line(head, &[], &stage));
    let found = with_less_behind.chain(with_less_before).find(fits);
    // The reason of a failure is shown in full at the end of the run; the reaction to it is not.
    let busy = || stage.iter().rev().find(|piece| piece.tone == Tone::Busy).cloned();
    let text =
        found.unwrap_or_else(|| line(&heads[3], &[], &busy().map_or_else(|| stage.clone(), |piece| vec![piece])));
    let room = width.saturating_sub(measure_text_width(&text));
    if more.is_empty() || room < LEAST_MORE { text } else { format!("{text}{SEPARATOR}{}", join(&more)) }
}

fn result(row: &Row, paint: Paint) -> String {
    let done: Vec<String> = row.done().iter().map(|piece| paint.tone(piece.tone, &piece.text)).collect();
    let mut text = done.join(SEPARATOR);
    if let Some(end) = &row.end {
        let ending = row.ending(end);
        if !text.is_empty() {
            text += "   ";
        }
        text += &paint.tone(ending.tone, &ending.text);
    }
    text
}

/// One line per app, and one for the host when it has something to report.
pub(super) fn results(run: &Run, paint: Paint) -> Vec<String> {
    let rows: Vec<&Row> = run.rows.iter().filter(|row| row.has_result()).collect();
    let columns = Columns::of(rows.iter().copied());
    let line = |row: &&Row| (columns.head(row, paint) + &result(row, paint)).trim_end().to_owned();
    rows.iter().map(line).collect()
}

/// The final output: the results, then the blocks.
pub(super) fn closing(run: &Run, paint: Paint) -> Vec<String> {
    let blocks = run.blocks.iter().flat_map(|block| {
        let name = block.app.as_ref().map(|key| format!("{}: ", key.app)).unwrap_or_default();
        let mut lines = vec![String::new()];
        lines.extend(block.lines.iter().enumerate().map(|(index, line)| {
            let about = if index == 0 { name.as_str() } else { "" };
            block_line(line, about, paint)
        }));
        lines
    });
    results(run, paint).into_iter().chain(blocks).collect()
}

/// The last line: the number of apps per outcome, and the total time.
pub(super) fn total(run: &Run) -> Option<String> {
    let rows = || run.rows.iter().filter(|row| row.end.is_some());
    let counted = |is_app: bool, noun: &str| {
        let count = rows().filter(|row| row.is_app() == is_app).count() as u64;
        let plural = if noun == "accessory" && count != 1 { "accessories".to_owned() } else { String::new() };
        match (count, plural.is_empty()) {
            (0, _) => None,
            (_, true) => Some(text::count(count, noun)),
            (_, false) => Some(format!("{count} {plural}")),
        }
    };
    let what: Vec<String> = [counted(true, "app"), counted(false, "accessory")].into_iter().flatten().collect();
    if what.is_empty() {
        return None;
    }
    let mut ends: Vec<(&str, usize)> = Vec::new();
    for end in rows().filter_map(|row| row.end.as_ref()) {
        let word = outcome(end.outcome);
        match ends.iter_mut().find(|(other, _)| *other == word) {
            Some((_, count)) => *count += 1,
            None => ends.push((word, 1)),
        }
    }
    let ends: Vec<String> = match &ends[..] {
        [(word, _)] => vec![(*word).to_owned()],
        several => several.iter().map(|(word, count)| format!("{count} {word}")).collect(),
    };
    Some(format!("{} in {}: {}", what.join(" and "), text::duration(run.elapsed), ends.join(", ")))
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::UpToDate => "up to date",
        Outcome::Completed => "done",
        Outcome::CompletedWithLeftovers => "done with leftovers",
        Outcome::Unstable => "restarting again and again",
        Outcome::RolledBack => "failed and undone",
        Outcome::Aborted => "canary aborted",
        Outcome::Cancelled => "cancelled",
        Outcome::Disconnected => "connection lost",
        Outcome::Stuck => "stuck",
    }
}

/// Only a label is coloured: long text in red is hard to read.
fn block_line(line: &Line, about: &str, paint: Paint) -> String {
    match line.label {
        "" => paint.tone(line.tone, &line.text),
        label => format!("{} {about}{}", paint.tone(line.tone, label), line.text),
    }
}

/// The lines of a block without empty ones.
pub(super) fn block_lines(block: &Block, paint: Paint) -> impl Iterator<Item = String> {
    let lines = block.lines.iter().map(move |line| block_line(line, "", paint));
    lines.filter(|line| !line.is_empty())
}
