//! `GET /v1/canary` and `POST /v1/canary`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{AppKey, CanaryOrder, CanaryReport, ReleaseCounters, ReleaseNumber};

#[derive(Debug, Serialize)]
pub(super) struct CanaryRequest<'a> {
    pub app: &'a AppKey,
    pub order: CanaryOrder,
    pub owner: &'a str,
    pub host: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct CanaryAnswer {
    order: Option<OrderAnswer>,
    bounds: Vec<f64>,
    /// By release number as text.
    releases: BTreeMap<String, CountersAnswer>,
}

#[derive(Debug, Deserialize)]
struct OrderAnswer {
    order: CanaryOrder,
    owner: String,
    host: String,
}

#[derive(Debug, Deserialize)]
struct CountersAnswer {
    classes: Vec<u64>,
    unreached: u64,
    buckets: Vec<u64>,
}

impl From<CanaryAnswer> for CanaryReport {
    fn from(answer: CanaryAnswer) -> Self {
        let counters = |(number, counters): (String, CountersAnswer)| {
            let CountersAnswer { classes, unreached, buckets } = counters;
            Some((ReleaseNumber(number.parse().ok()?), ReleaseCounters { classes, unreached, buckets }))
        };
        let order = answer.order.map(|order| (order.order, format!("`{}` on `{}`", order.owner, order.host)));
        Self { order, bounds: answer.bounds, releases: answer.releases.into_iter().filter_map(counters).collect() }
    }
}
