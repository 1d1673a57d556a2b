//! Step by step, until the orders are carried out or a law is broken.

use std::time::{Duration, Instant};

use crate::actions;
use crate::fleet::{self, Fleet};
use crate::laws::{self, Excuse, Tally};
use crate::report::Report;
use crate::schedule::{APPS, Schedule, Step};

#[derive(Debug)]
pub struct Orders {
    pub seed: u64,
    /// The first step's number and the last one's.
    pub from: usize,
    pub steps: usize,
    /// No step begins after it.
    pub limit: Duration,
}

pub async fn run(orders: &Orders) {
    let Some(mut fleet) = Fleet::start().await else { return };
    let began = Instant::now();
    let mut report = Report::new(orders.seed);
    for step in Schedule::new(orders.seed).take(orders.steps).skip(orders.from - 1) {
        if began.elapsed() > orders.limit {
            break;
        }
        report.begins(&step);
        let began = Instant::now();
        let (tally, lost) = Box::pin(carry_out(&mut fleet, &step)).await;
        report.tallied(tally, began.elapsed());
        assert_eq!(tally.otherwise, 0, "requests were lost that no fault had to cost\n{lost}");
        report.ended();
    }
}

/// One step under load, and the laws around it. Also returns the tables of the apps that have lost something.
async fn carry_out(fleet: &mut Fleet, step: &Step) -> (Tally, String) {
    let loads = fleet.load().await;
    let excuse = actions::perform(fleet, step, &loads).await;
    laws::serves_what_the_proxy_says(fleet, &excuse).await;
    fleet.converge().await;
    laws::serves_what_the_proxy_says(fleet, &Excuse::default()).await;
    let reports = fleet::stop(loads).await;
    laws::nothing_is_counted(fleet).await;
    laws::nothing_is_left(fleet).await;
    let results: Vec<_> = reports.iter().map(|report| (report.ok, report.failed.clone())).collect();
    let lost = APPS.iter().zip(&reports).filter(|(_, report)| report.failures() > 0);
    let tables: Vec<String> = lost.map(|(app, report)| format!("--- {app}\n{}", report.table())).collect();
    (laws::judge(&results, &excuse), tables.join("\n"))
}
