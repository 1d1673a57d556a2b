//! Runs a command on a pseudo-terminal (`script`) and parses its output to a screen.

use std::num::NonZeroU16;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use vt100::{Cell, Parser, Screen};

use super::cli::Cli;

/// Far above any of these runs.
const LIMIT: Duration = Duration::from_secs(300);
const CTRL_C: &str = "\x03";

/// A running command. Dropping it closes the terminal, which ends the command like closing a window.
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    output: ChildStdout,
    parser: Parser,
    /// Whether lines were redrawn; a log only adds lines.
    pub is_redrawn: bool,
}

impl Cli {
    /// Runs the command on a terminal of this size.
    pub fn on_terminal(self, columns: u16, rows: u16) -> Terminal {
        let [wide, high] = [columns, rows].map(|size| NonZeroU16::new(size).expect("a terminal has a size"));
        // The tests may run under `nohup`, and ignored signals are inherited.
        let line = format!("stty cols {columns} rows {rows}; exec env --default-signal=HUP {}", self.line());
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
        let mut command = self.surrounds(command);
        command.env("SHELL", "/bin/sh").env("TERM", "xterm-256color");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = command.spawn().expect("the command `script`, which is in every Debian");
        let keys = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        // With scrollback, so that scrolled lines can be checked.
        Terminal { child, keys, output, parser: Parser::new(high, wide, 1000), is_redrawn: false }
    }
}

impl Terminal {
    pub fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// Waits until this text is on the screen.
    #[track_caller]
    pub fn shows<'t>(&'t mut self, text: &'t str) -> impl Future<Output = ()> + use<'t> {
        let caller = std::panic::Location::caller();
        async move {
            let seen = timeout(LIMIT, async {
                while !self.screen().contents().contains(text) {
                    if !self.read().await {
                        return false;
                    }
                }
                true
            });
            let seen = seen.await.unwrap_or(false);
            assert!(seen, "{caller}: `{text}` is not on the screen:\n{}", self.screen().contents());
        }
    }

    pub async fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.expect("a terminal that takes keys");
    }

    /// Closes the terminal, like closing a window or losing the connection.
    pub async fn closes(mut self) {
        self.child.kill().await.expect("the terminal is closed");
    }

    pub async fn interrupts(&mut self) {
        self.types(CTRL_C).await;
    }

    /// Waits for the end and returns the exit code.
    pub async fn ends(&mut self) -> Option<i32> {
        let ending = timeout(LIMIT, async {
            while self.read().await {}
            self.child.wait().await.expect("its end").code()
        });
        ending.await.unwrap_or_else(|_| panic!("it does not end:\n{}", self.parser.screen().contents()))
    }

    /// The cell where this text starts.
    #[track_caller]
    pub fn cell_of(&self, text: &str) -> &Cell {
        let (_, width) = self.screen().size();
        let rows = self.screen().rows(0, width.get());
        let place = rows.enumerate().find_map(|(row, line)| {
            let column = line[..line.find(text)?].chars().count();
            self.screen().cell(row.try_into().ok()?, column.try_into().ok()?)
        });
        place.unwrap_or_else(|| panic!("`{text}` is not on the screen:\n{}", self.screen().contents()))
    }

    /// Asserts that the terminal is usable afterwards: visible cursor, default colours.
    #[track_caller]
    pub fn is_left_tidy(&self) {
        let screen = self.screen();
        assert!(!screen.hide_cursor(), "the cursor is hidden:\n{}", screen.contents());
        assert!(!screen.alternate_screen(), "another screen is shown");
        assert_eq!((screen.fgcolor(), screen.bold()), (vt100::Color::Default, false), "what is typed has a colour");
        assert_eq!(screen.cursor_position().1, 0, "the prompt would not begin a line:\n{}", screen.contents());
    }

    /// Asserts that no line was wider than the terminal.
    #[track_caller]
    pub fn wraps_nothing(&self) {
        let (rows, _) = self.screen().size();
        let wrapped: Vec<u16> = (0..rows.get()).filter(|row| self.screen().row_wrapped(*row)).collect();
        assert!(wrapped.is_empty(), "lines {wrapped:?} are wrapped:\n{}", self.screen().contents());
    }

    /// Reads more output; `false` at the end.
    async fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let count = self.output.read(&mut bytes).await.unwrap_or(0);
        let bytes = &bytes[..count];
        // Cursor up, or erase line.
        let text = String::from_utf8_lossy(bytes);
        let mut sequences =
            text.split("\x1b[").skip(1).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        self.is_redrawn |= sequences.any(|sequence| sequence.starts_with(['A', 'J', 'K']));
        self.parser.process(bytes);
        count > 0
    }
}
