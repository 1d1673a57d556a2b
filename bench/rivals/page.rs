//! The results as an HTML page: bars of all tools for each figure, and latencies over time for each tool.

use deploy_apps::report::page::{Band, Bar, Bars, Cell, Hue, Line, Miss, Page, Plot, Section, Table, Unit, Verdict};

use crate::Measured;
use crate::common::Machine;
use crate::metrics::{self, METRICS, Metric};
use crate::round::Round;
use crate::table::{self, Totals};

pub fn page(measured: &[Measured], machine: &Machine) -> String {
    let here = table::here(measured);
    let mut bars = Section::new("Side by side");
    for metric in METRICS.iter().filter(|metric| metric.is_drawn()) {
        bars = bars.bars(&compare(metric, &here, |_| String::new()), metric.better());
    }
    let mut time = Section::new("What users saw");
    for tool in &here {
        // The round with the most failures is shown.
        let Some(round) = tool.rounds.iter().max_by_key(|round| round.load.failures()) else { continue };
        let under = format!("Round {}, the one in which it lost the most. {}", round.number, table::line(round));
        time = time.plot(&over_time(tool.title, round), &under);
    }
    let head = ["tool", "version", "what cannot be drawn"].map(|text| Cell::Word(text.to_owned()));
    let rows = measured.iter().map(|tool| {
        let version = tool.version.clone().unwrap_or_default();
        vec![Cell::Word(tool.title.to_owned()), Cell::Words(version), Cell::Words(table::below(tool))]
    });
    let notes = Table::new("Tools", head.to_vec()).rows(rows);
    let under = format!("{machine}; same app, same load, same number of deploys");
    Page::new("deploy-apps beside what else people deploy with", Verdict::Neutral)
        .under(&under)
        .section(bars)
        .section(time)
        .section(Section::new("Notes").table("Every tool", "", &notes))
        .html()
}

/// The failed requests of each tool, as a picture for a document.
pub fn lost(measured: &[Measured]) -> String {
    let here = table::here(measured);
    let rounds = here.iter().map(|tool| tool.rounds.len()).max().unwrap_or_default();
    let of_all = |tool: &Measured| {
        let Totals { lost, requests, deploys } = Totals::of(&tool.rounds);
        format!("({lost} of {requests} in {deploys} deploys)")
    };
    let under = format!("medians of {rounds} rounds under load of all kinds; nothing is sent twice");
    compare(&METRICS[0], &here, of_all).standalone(&under)
}

/// `note` is shown next to a tool's value.
fn compare(metric: &Metric, here: &[&Measured], note: impl Fn(&Measured) -> String) -> Bars {
    let (title, unit, scale) = match metric.unit {
        metrics::Unit::Each => (metric.label.to_owned(), Unit::Count, 1.0),
        metrics::Unit::Milliseconds => (metric.label.to_owned(), Unit::Milliseconds, 1.0),
        metrics::Unit::Microseconds => (metric.label.to_owned(), Unit::Milliseconds, 1e-3),
        metrics::Unit::PerSecond => (metric.label.to_owned(), Unit::PerSecond, 1.0),
        metrics::Unit::Megabytes => (format!("{} in MB", metric.label), Unit::Count, 1.0),
    };
    let mut bars = Bars::new(&title, unit);
    for tool in here {
        let samples = metric.samples(&tool.rounds);
        if samples.rounds() == 0 {
            continue;
        }
        let (lowest, highest) = samples.spread();
        let hue = if tool.tool == "deploy-apps" { Hue::Series(0) } else { Hue::Quiet };
        let bar = Bar::new(tool.title, samples.median() * scale, hue).spread(lowest * scale, highest * scale);
        bars = bars.bar(bar.note(&note(tool)));
    }
    bars
}

fn over_time(title: &str, round: &Round) -> Plot {
    let seconds = |ms: f64| ms / 1e3;
    let end = round.moments.last().map_or(1.0, |moment| seconds(moment.at_ms));
    let points = round.moments.iter().map(|moment| (seconds(moment.at_ms), moment.latency_ms.unwrap_or(f64::NAN)));
    let bands = round.deploys.iter().enumerate().map(|(index, deploy)| Band {
        from: seconds(deploy.at_ms),
        to: seconds(deploy.at_ms + deploy.wall_ms),
        name: format!("deploy {}", index + 1),
    });
    let mut before = 0;
    let lost = round.moments.iter().filter_map(|moment| {
        let new = moment.failures.saturating_sub(before);
        before = moment.failures;
        (new > 0).then_some((seconds(moment.at_ms), new))
    });
    let lost: Vec<_> = lost.collect();
    let misses = (!lost.is_empty()).then_some(Miss { cause: "requests lost".to_owned(), at: lost });
    Plot::new(title, (0.0, end), Unit::Milliseconds)
        .log()
        .line(Line::new("one request, sent every 100 ms", Hue::Series(0), points.collect()).thin())
        .bands(bands)
        .misses(misses)
}
