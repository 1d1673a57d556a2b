//! The report as an HTML page and as SVG files.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::recorder::Record;
use crate::load::{Cause, KindReport, Latencies, Report};
use crate::model::{AppName, Course, TimedDeploy};
use crate::report::drain::{Shown, close_up, overview};
use crate::report::page::{Cell, Page, Section, Table, Tile, Unit, Verdict};

/// More slots would be narrower than a pixel.
const MOST_SLOTS: usize = 320;
/// Time shown before and after the deploy in the close-up.
const MARGIN_MS: u64 = 1500;

/// The report of one app.
#[derive(Debug)]
pub struct Part<'a> {
    pub app: &'a AppName,
    pub report: &'a Report,
    record: Record,
    pub course: Course,
}

impl<'a> Part<'a> {
    pub fn new(app: &'a AppName, report: &'a Report, record: Record) -> Self {
        let course = course(report, &record, (0, u64::MAX), MOST_SLOTS);
        Self { app, report, record, course }
    }

    /// All plots, those of the close-up last.
    fn plots(&self) -> Vec<Shown> {
        let mut plots = overview(&self.course);
        if let Some((deploy, why)) = self.closest() {
            let stretch = (deploy.from_ms.saturating_sub(MARGIN_MS), deploy.to_ms + MARGIN_MS);
            let course = course(self.report, &self.record, stretch, MOST_SLOTS);
            plots.extend(close_up(&course, deploy, why));
        }
        plots
    }

    /// The deploy for the close-up; none if the overview has only one deploy.
    fn closest(&self) -> Option<(&TimedDeploy, &'static str)> {
        if self.record.deploys.len() < 2 {
            return None;
        }
        let within = |deploy: &TimedDeploy| course(self.report, &self.record, (deploy.from_ms, deploy.to_ms), 1);
        let lost = |course: &Course| course.slots.iter().flat_map(|slot| slot.failed.values()).sum::<u64>();
        let slowest = |course: &Course| course.slots.iter().filter_map(|slot| slot.max_us).max();
        let seen: Vec<_> = self.record.deploys.iter().map(|deploy| (deploy, within(deploy))).collect();
        let worst = seen.iter().max_by_key(|(_, course)| lost(course)).filter(|(_, course)| lost(course) > 0);
        let worst = worst.map(|(deploy, _)| (*deploy, "The deploy with the most failures"));
        let slow = seen.iter().max_by_key(|(_, course)| slowest(course));
        worst.or(slow.map(|(deploy, _)| (*deploy, "The deploy with the slowest answer")))
    }

    /// Each plot as a file: name and SVG text.
    pub fn drawings(&self) -> Vec<(String, String)> {
        let under = format!("{}: {}", self.app, summary(self.report, self.record.deploys.len()));
        let plots = self.plots().into_iter();
        plots.map(|shown| (format!("{}-{}.svg", self.app, shown.name), shown.plot.standalone(&under))).collect()
    }

    fn section(&self) -> Section {
        let report = self.report;
        let mut section = Section::new(self.app.as_str()).tiles(&tiles(report));
        for shown in self.plots() {
            section = section.plot(&shown.plot, &shown.under);
        }
        section = section.table("Requests by kind", "", &kinds(report));
        let latencies = latencies(report);
        if !latencies.is_empty() {
            section = section.table("Latency by phase", "", &latencies);
        }
        if !report.first_failures.is_empty() {
            let under = format!("The first {} of {}.", report.first_failures.len(), number(report.failures()));
            section = section.table("Failures", &under, &failures(report));
        }
        section
    }
}

fn course(report: &Report, record: &Record, stretch: (u64, u64), most: usize) -> Course {
    Course::of(&report.timeline, (&record.open, &record.counted), &record.deploys, stretch, most)
}

/// The HTML page. `is_done`: all redeploys succeeded.
pub fn page(parts: &[Part<'_>], deploys: u32, is_done: bool) -> String {
    let lost: u64 = parts.iter().map(|part| part.report.failures()).sum();
    let sent: u64 = parts.iter().map(|part| part.report.ok).sum::<u64>() + lost;
    let verdict = if is_done && lost == 0 { Verdict::Good } else { Verdict::Bad };
    let done = parts.iter().map(|part| part.record.deploys.len()).max().unwrap_or(0);
    let apps: Vec<&str> = parts.iter().map(|part| part.app.as_str()).collect();
    let deploys = match is_done {
        true => format!("{deploys} redeploys"),
        false => format!("ended early, at redeploy {done} of {deploys},"),
    };
    let at = Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    let page = Page::new(&format!("{} of {} requests failed", number(lost), number(sent)), verdict)
        .under(&format!("{deploys} of {} under load · {at}", apps.join(", ")))
        .foot(&format!("{} · deploy-apps {}", command_line(), env!("CARGO_PKG_VERSION")));
    parts.iter().fold(page, |page, part| page.section(part.section())).html()
}

/// The command line as typed, to repeat the run; values with spaces are quoted.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| {
        let word = word.to_string_lossy().into_owned();
        let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=./:,%@+".contains(c));
        if is_plain { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    std::iter::once("deploy-apps".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn summary(report: &Report, deploys: usize) -> String {
    let sent = report.ok + report.failures();
    format!("{} of {} requests failed in {deploys} redeploys", number(report.failures()), number(sent))
}

fn tiles(report: &Report) -> [Tile; 4] {
    let tile = |name: &str, value: String, note: String, is_bad| Tile { name: name.to_owned(), value, note, is_bad };
    let p99 =
        |latency: Option<crate::load::Latency>| latency.map_or("–".to_owned(), |latency| micros(latency.p99_us));
    [
        tile(
            "Answered",
            number(report.ok),
            format!(
                "{} over {} connections",
                Unit::PerSecond.text(report.requests_per_second),
                number(report.connections_opened)
            ),
            false,
        ),
        tile("Failed", number(report.failures()), causes(&report.failed), report.failures() > 0),
        tile(
            "p99 while deploying",
            p99(report.latency.deploying),
            format!("{} in steady state", p99(report.latency.steady)),
            false,
        ),
        tile(
            "Longest gap",
            Unit::Milliseconds.text(report.longest_gap.ms as f64),
            format!("without a success, at {:.1} s", report.longest_gap.at_ms as f64 / 1000.0),
            false,
        ),
    ]
}

fn kinds(report: &Report) -> Table {
    let head = [("sent", false), ("ok", true), ("failed", true), ("messages", true), ("ended", true)];
    let mut head: Vec<Cell> =
        head.map(|(name, is_number)| if is_number { Cell::Number(name.to_owned()) } else { word(name) }).to_vec();
    head.push(word("failures by cause"));
    let row = |kind: &KindReport| {
        let streams =
            |count| Cell::Number(if kind.latency.is_none() && count > 0 { number(count) } else { String::new() });
        vec![
            word(&kind.kind.to_string()),
            Cell::Number(number(kind.ok)),
            Cell::Number(number(kind.failures())),
            streams(kind.messages),
            streams(kind.ended_kindly),
            Cell::Words(if kind.failed.is_empty() { String::new() } else { causes(&kind.failed) }),
        ]
    };
    Table::new("Requests by kind", head).rows(report.kinds.iter().map(row))
}

fn latencies(report: &Report) -> Table {
    let mut head = vec![word("latency"), word("phase")];
    head.extend(["requests", "p50", "p99", "p99.9", "max"].map(|name| Cell::Number(name.to_owned())));
    let of = |name: String, latencies: Latencies| {
        let phases = [("steady", latencies.steady), ("deploying", latencies.deploying)];
        phases.into_iter().filter_map(move |(phase, latency)| {
            let latency = latency?;
            let times = [latency.p50_us, latency.p99_us, latency.p999_us, latency.max_us];
            let mut row = vec![word(&name), word(phase), Cell::Number(number(latency.requests))];
            row.extend(times.map(|us| Cell::Number(micros(us))));
            Some(row)
        })
    };
    let kinds = report.kinds.iter().filter_map(|kind| Some((kind.kind.to_string(), kind.latency?)));
    let all = [("all short".to_owned(), report.latency)];
    Table::new("Latency by phase", head).rows(kinds.chain(all).flat_map(|(name, latencies)| of(name, latencies)))
}

fn failures(report: &Report) -> Table {
    let mut head = vec![Cell::Number("at".to_owned()), word("kind"), word("cause")];
    head.extend([Cell::Number("after".to_owned()), word("what its client saw")]);
    let rows = report.first_failures.iter().map(|failed| {
        vec![
            Cell::Number(format!("{:.3} s", failed.at_ms as f64 / 1000.0)),
            word(&failed.kind.to_string()),
            word(&failed.cause.to_string()),
            Cell::Number(format!("{} ms", number(failed.after_ms))),
            Cell::Code(failed.detail.clone()),
        ]
    });
    Table::new("Failures", head).rows(rows)
}

fn causes(failed: &BTreeMap<Cause, u64>) -> String {
    if failed.is_empty() {
        return "nothing was lost".to_owned();
    }
    failed.iter().map(|(cause, count)| format!("{cause}: {}", number(*count))).collect::<Vec<_>>().join(", ")
}

fn word(text: &str) -> Cell {
    Cell::Word(text.to_owned())
}

fn number(count: u64) -> String {
    Unit::Count.text(count as f64)
}

fn micros(us: u64) -> String {
    Unit::Milliseconds.text(us as f64 / 1000.0)
}
