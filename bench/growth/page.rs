//! The results as HTML pages: bars by size, and the changes over time during a soak.

use deploy_apps::load::Report;
use deploy_apps::report::page::{Bar, Bars, Hue, Line, Page, Plot, Section, Unit, Verdict};

use crate::common::Machine;
use crate::grid::{self, Grid};
use crate::soak::{Look, SERIES};

pub fn growth(grids: &[Grid], machine: &Machine) -> String {
    let page = Page::new("How deploy-apps grows", Verdict::Neutral).under(&machine.to_string());
    let sections = grids.iter().map(|grid| {
        let section = Section::new(&format!("By {}", grid.of));
        grid.distinct(|cell| cell.what).into_iter().fold(section, |section, what| section.bars(&bars(grid, what), ""))
    });
    sections.fold(page, Page::section).html()
}

fn bars(grid: &Grid, what: &str) -> Bars {
    let cells = || grid.cells.iter().filter(|cell| cell.what == what);
    let (title, unit) = match cells().next().map(|cell| cell.unit) {
        Some(grid::Unit::Milliseconds) => (what.to_owned(), Unit::Milliseconds),
        Some(grid::Unit::Megabytes) => (format!("{what}, in MB"), Unit::Count),
        _ => (what.to_owned(), Unit::Count),
    };
    // Headings identify drawings, so they must be unique across parts.
    let bars = Bars::new(&format!("{title}, by {}", grid.of), unit);
    cells().fold(bars, |bars, cell| {
        let (lowest, highest) = cell.values.spread();
        let bar = Bar::new(&cell.size.to_string(), cell.values.median(), Hue::Series(0)).spread(lowest, highest);
        bars.bar(bar)
    })
}

pub fn soak(looks: &[Look], report: &Report, machine: &Machine) -> String {
    let last = looks.last();
    let (deploys, end) = (last.map_or(0, |look| look.deploys), last.map_or(1.0, |look| look.at_s));
    let requests = report.ok + report.failures();
    let title = format!("{deploys} deploys, {} of {requests} requests lost", report.failures());
    let section = SERIES.iter().fold(Section::new("What they left behind"), |section, (what, of)| {
        let points = looks.iter().map(|look| (look.at_s, of(look))).collect();
        let plot = Plot::new(what, (0.0, end), Unit::Count).line(Line::new(what, Hue::Series(0), points));
        section.plot(&plot, "")
    });
    Page::new(&title, Verdict::Neutral).under(&machine.to_string()).section(section).html()
}
