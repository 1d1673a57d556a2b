//! The counters of requests, out of the proxy's own metrics.

use crate::model::{AppKey, ProjectName, ReleaseNumber, RequestTotals};

const FAMILY: &str = "deploy_apps_requests_total{";

/// The counters of one project's apps. A line that is not as expected is passed over: a newer proxy may write more.
pub(super) fn read(metrics: &str, project: &ProjectName) -> RequestTotals {
    let mut totals = RequestTotals::new();
    for (key, release, status, value) in metrics.lines().filter_map(sample).filter(|(key, ..)| key.project == *project)
    {
        let counts = totals.entry(key.app).or_default().entry(release).or_default();
        counts.requests = counts.requests.saturating_add(value);
        counts.errors = counts.errors.saturating_add(if status == "5xx" { value } else { 0 });
    }
    totals
}

/// App, release, class of status and value of one line.
fn sample(line: &str) -> Option<(AppKey, ReleaseNumber, &str, u64)> {
    let (labels, value) = line.strip_prefix(FAMILY)?.split_once("} ")?;
    // No name of ours has a comma or a quote in it.
    let label = |name: &str| {
        let mut pairs = labels.split(',').filter_map(|label| label.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"'))
    };
    // Large sums are written as `1.5e+15`.
    let value = value.trim().parse::<f64>().ok()?;
    Some((label("app")?.parse().ok()?, ReleaseNumber(label("release")?.parse().ok()?), label("status")?, value as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "\
# TYPE deploy_apps_requests_total counter
deploy_apps_requests_total{app=\"other/web\",release=\"1\",status=\"2xx\"} 9
deploy_apps_requests_total{app=\"shop/web\",release=\"0\",status=\"5xx\"} 3
deploy_apps_requests_total{app=\"shop/web\",release=\"7\",status=\"2xx\"} 1.5e+3
deploy_apps_requests_total{app=\"shop/web\",release=\"7\",status=\"5xx\"} 2
deploy_apps_requests_total{app=\"shop/web\",release=\"seven\",status=\"2xx\"} 2
deploy_apps_retries_total{app=\"shop/web\"} 4
";

    #[test]
    fn requests_are_summed_by_release_of_one_project() {
        let totals = read(METRICS, &"shop".parse().expect("a name"));
        let web = &totals[&"web".parse().expect("a name")];
        let plain: Vec<_> = web.iter().map(|(release, counts)| (release.0, counts.requests, counts.errors)).collect();
        assert_eq!((totals.len(), plain), (1, vec![(0, 3, 3), (7, 1502, 2)]));
    }

    #[test]
    fn numbers_that_cannot_be_counts_end_at_the_largest_one() {
        let line = |status: &str| {
            format!("deploy_apps_requests_total{{app=\"s/web\",release=\"1\",status=\"{status}\"}} 1e30\n")
        };
        let totals = read(&[line("5xx"), line("5xx")].concat(), &"s".parse().expect("a name"));
        let counts = totals[&"web".parse().expect("a name")][&ReleaseNumber(1)];
        assert_eq!((counts.requests, counts.errors), (u64::MAX, u64::MAX));
    }
}
