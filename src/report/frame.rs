//! From a run to lines of text. Pure: the same run, time and size give the same lines.

use std::time::Duration;

use console::{Style, measure_text_width, pad_str, truncate_str};

use super::block::{Block, Line};
use super::row::{Piece, Row, Tone};
use super::run::Run;

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// From one picture of the spinner to the next.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// What a live frame has to fit into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub width: usize,
    pub height: usize,
}

/// Gives text its colour, or leaves it alone.
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

/// How wide the columns before the free text are.
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
}

/// The lines that are redrawn while the run goes on: never wider or higher than the screen,
/// because a line that wraps or scrolls away could not be found again.
pub(super) fn live(run: &Run, now: Duration, size: Size, paint: Paint) -> Vec<String> {
    let rows: Vec<&Row> = run.rows.iter().filter(|row| row.is_moving() || row.has_result()).collect();
    // The line below the last one is the cursor's.
    let room = size.height.saturating_sub(1).max(1);
    let (shown, hidden) = fit(&rows, room);
    let columns = Columns::of(shown.iter().copied());
    let spinner = SPINNER[(now.as_millis() / TICK.as_millis()) as usize % SPINNER.len()];
    let mut lines: Vec<String> = shown
        .iter()
        .map(|row| {
            columns.head(row, paint)
                + &match &row.end {
                    Some(_) => result(row, paint),
                    None => progress(row, now, spinner, paint),
                }
        })
        .collect();
    if hidden > 0 {
        lines.push(paint.tone(Tone::Dim, &format!("… and {hidden} more")));
    }
    // A full last column makes some terminals wrap.
    let width = size.width.saturating_sub(1);
    lines.iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
}

/// What fits; the rows that still move come first when not all do.
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

fn progress(row: &Row, now: Duration, spinner: &str, paint: Paint) -> String {
    let piece = |piece: &Piece| match piece.tone {
        Tone::Busy => format!("{} {}", paint.tone(Tone::Busy, spinner), piece.text),
        tone => paint.tone(tone, &piece.text),
    };
    let pieces: Vec<String> =
        row.done().iter().chain(&row.doing(now)).filter(|piece| !piece.text.is_empty()).map(piece).collect();
    pieces.join(" · ")
}

fn result(row: &Row, paint: Paint) -> String {
    let done: Vec<String> = row.done().iter().map(|piece| paint.tone(piece.tone, &piece.text)).collect();
    let mut text = done.join(" · ");
    if let Some(end) = &row.end {
        let ending = row.ending(end);
        if !text.is_empty() {
            text += "   ";
        }
        text += &paint.tone(ending.tone, &ending.text);
    }
    text
}

/// One line for each app, and for the host when it has something to tell.
pub(super) fn results(run: &Run, paint: Paint) -> Vec<String> {
    let rows: Vec<&Row> = run.rows.iter().filter(|row| row.has_result()).collect();
    let columns = Columns::of(rows.iter().copied());
    let line = |row: &&Row| (columns.head(row, paint) + &result(row, paint)).trim_end().to_owned();
    rows.iter().map(line).collect()
}

/// Everything that stays on the screen: the results, then what needs more than a line.
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

/// With a label only the label is coloured: long text in red is hard to read.
fn block_line(line: &Line, about: &str, paint: Paint) -> String {
    match line.label {
        "" => paint.tone(line.tone, &line.text),
        label => format!("{} {about}{}", paint.tone(line.tone, label), line.text),
    }
}

/// A block's lines without the empty ones.
pub(super) fn block_lines(block: &Block, paint: Paint) -> impl Iterator<Item = String> {
    let lines = block.lines.iter().map(move |line| block_line(line, "", paint));
    lines.filter(|line| !line.is_empty())
}
