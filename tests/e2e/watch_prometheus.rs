//! Prometheus over the sample system: it finds every replica by itself, and what it says agrees with what was sent.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use deploy_apps::load::Traffic;
use serde_json::Value;

use crate::harness::{Host, eventually, none_lost, sample};

/// Two scrapes and an evaluation, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the dashboards ask besides. PostgreSQL's figures need the database, and none of its apps.
const OTHERS: [&str; 6] =
    ["blackbox-exporter", "node-exporter", "redis-exporter", "postgres", "postgres-exporter", "alertmanager"];
/// Each job that scrapes something in the sample; it has no certificates.
const JOBS: f64 = 10.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_finds_every_replica_and_its_numbers_agree_with_the_load_by_release() {
    let host = sample("prom").await;
    host.deploy(&["counter-service", "prometheus", "container-metrics"]).await.succeeded();
    let load =
        host.start(host.load("counter-service").send_every(2, Duration::from_millis(20), Traffic::get("/"))).await;
    eventually("the load flows", PATIENCE, async || (load.progress().requests > 50).then_some(())).await;
    host.deploy(&["counter-service", "--force"]).await.succeeded();
    eventually("the new release is asked too", PATIENCE, async || (load.progress().requests > 150).then_some(())).await;
    let report = load.stop().await;
    none_lost(&report);

    let prometheus = Prometheus::of(&host);
    prometheus.shows("sum(up{job=~\"proxy|containers|prometheus\"})", 3.0).await;
    let wanted: BTreeSet<_> = ["counter-service-r2-1", "counter-service-r2-2"].map(|name| name.to_owned()).into();
    eventually("the replicas of the new release, and they alone", PATIENCE, async || {
        let up = prometheus.ask("up{job=\"apps\",app=\"counter-service\",release=\"2\"} == 1").await;
        let names = up.iter().filter_map(|series| series["metric"]["instance"].as_str());
        let found: BTreeSet<_> =
            names.map(|name| name.trim_start_matches(&format!("{}-", host.name())).to_owned()).collect();
        (found == wanted).then_some(())
    })
    .await;

    // What the load counted as answered is what the proxy counted, summed over both releases; each got some of it.
    #[expect(clippy::cast_precision_loss, reason = "some hundred requests")]
    let sent = report.ok as f64;
    let counted = "deploy_apps_requests_total{app=\"counter-service\",status=\"2xx\"}";
    prometheus.shows(&format!("sum({counted})"), sent).await;
    prometheus.shows(&format!("count(sum by (release) ({counted}) > 0)"), 2.0).await;
    prometheus.shows("sum(deploy_apps_request_duration_seconds_count{app=\"counter-service\"})", sent).await;
    prometheus.shows("sum(deploy_apps_deploys_total{app=\"counter-service\",outcome=\"completed\"})", 2.0).await;
    prometheus.shows("sum(deploy_apps_deploy_cut_total{app=\"counter-service\"})", 0.0).await;
    // The containers of both replicas are measured under the app's own labels.
    prometheus
        .shows("count(container_memory_working_set_bytes{app=\"counter-service\",release=\"2\"} > 1e6)", 2.0)
        .await;
    a_bad_release_is_told_from_the_one_before(&host, &prometheus).await;
    // From now on there are probes besides the load.
    host.deploy(&OTHERS).await.succeeded();
    prometheus.shows("count(count by (job) (up == 1))", JOBS).await;
    // Replicas that have just gone are down until they are off the list.
    prometheus.shows("count(up == 0) or vector(0)", 0.0).await;
    every_panel_has_data(&host, &prometheus).await;
}

/// It lives, so it passes the gate, and then answers every other request with an error.
async fn a_bad_release_is_told_from_the_one_before(host: &Host, prometheus: &Prometheus) {
    let file = host.folder().join("apps/counter-service/handlers.go");
    let text = fs::read_to_string(&file).expect("the sample");
    let page = "func (a *app) page(w http.ResponseWriter, r *http.Request) {\n";
    assert!(text.contains(page), "the counter's page has moved");
    let broken = "if asked++; asked%2 == 0 {\nhttp.Error(w, \"broken\", http.StatusInternalServerError)\nreturn\n}\n";
    fs::write(&file, text.replace(page, &format!("var asked int\n\n{page}{broken}"))).expect("a writable folder");
    let load = host.load("counter-service").send_every(2, Duration::from_millis(50), Traffic::get("/"));
    let load = host.start(load).await;
    host.deploy(&["counter-service"]).await.succeeded();
    let ratio = |release: u32| format!("release:errors:ratio_rate5m{{app=\"counter-service\",release=\"{release}\"}}");
    prometheus.shows(&format!("{} > bool 0.2", ratio(3)), 1.0).await;
    prometheus.shows(&format!("{} == bool 0", ratio(2)), 1.0).await;
    // What the alert says to do.
    host.deploy(&["rollback", "counter-service"]).await.succeeded();
    load.stop().await;
}

/// Grafana's own image comes from a registry, so its dashboards are tried without it: each query of each panel and
/// annotation must find something.
async fn every_panel_has_data(host: &Host, prometheus: &Prometheus) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/grafana/dashboards");
    let mut queries = Vec::new();
    for entry in fs::read_dir(folder).expect("the dashboards").flatten() {
        let board: Value = serde_json::from_slice(&fs::read(entry.path()).expect("a file")).expect("JSON");
        let panels = board["panels"].as_array().expect("panels").iter();
        let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
        let annotations = board["annotations"]["list"].as_array().expect("annotations");
        queries.extend(targets.chain(annotations).map(|asked| asked["expr"].as_str().expect("a query").to_owned()));
        // `label_values(series, label)`: there are such series.
        for variable in board["templating"]["list"].as_array().expect("variables") {
            let query = variable["query"]["query"].as_str().and_then(|query| query.strip_prefix("label_values("));
            queries.push(query.and_then(|rest| rest.rsplit_once(',')).expect("series and a label").0.to_owned());
        }
    }
    assert!(queries.len() > 50, "{}", queries.len());
    let mut missing: Vec<String> =
        queries.iter().map(|query| query.replace("$project", host.name()).replace("$app", "counter-service")).collect();
    let wait = eventually("every query finds something", PATIENCE * 2, async || {
        for query in std::mem::take(&mut missing) {
            if prometheus.ask(&query).await.is_empty() {
                missing.push(query);
            }
        }
        missing.is_empty().then_some(())
    });
    // Shorter than its deadline: the list says more than that it was not so.
    let _ = tokio::time::timeout(PATIENCE, wait).await;
    assert!(missing.is_empty(), "{} of {} find nothing:\n{}", missing.len(), queries.len(), missing.join("\n"));
}

/// Our own rules, such as that each panel has a description. Grafana's types are compared by the stage `test` of
/// `stack/grafana`, for the version that is deployed.
#[test]
fn every_dashboard_keeps_our_rules_and_is_compared_with_the_grafana_that_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/grafana");
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON") };
    let schema = jsonschema::validator_for(&read(&folder.join("dashboard.schema.json"))).expect("a schema");
    let boards: Vec<_> = fs::read_dir(folder.join("dashboards")).expect("the dashboards").flatten().collect();
    assert_eq!(boards.len(), 5);
    for board in boards {
        let findings: Vec<String> = schema.iter_errors(&read(&board.path())).map(|error| error.to_string()).collect();
        assert!(findings.is_empty(), "{}: {}", board.path().display(), findings.join("\n"));
    }
    let packages = read(&folder.join("package.json"));
    let version = packages["devDependencies"]["@grafana/schema"].as_str().expect("Grafana's types");
    let service = fs::read_to_string(folder.with_extension("yaml")).expect("its compose file");
    assert!(
        service.contains(&format!("image: grafana/grafana-oss:{version}\n")),
        "another version than {version} runs"
    );
}

struct Prometheus {
    url: String,
    client: reqwest::Client,
}

impl Prometheus {
    fn of(host: &Host) -> Self {
        let url = format!("http://127.0.0.1:{}/api/v1/query", host.port_of("PROMETHEUS_PORT"));
        Self { url, client: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    /// The series that a query finds now; none while Prometheus cannot be asked.
    async fn ask(&self, query: &str) -> Vec<Value> {
        let url = reqwest::Url::parse_with_params(&self.url, [("query", query)]).expect("a URL");
        let Ok(answer) = self.client.get(url).send().await else { return Vec::new() };
        let body: Value = serde_json::from_str(&answer.text().await.unwrap_or_default()).unwrap_or_default();
        assert_ne!(body["status"], "error", "{query}: {body}");
        body["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a query with one answer says `wanted`.
    async fn shows(&self, query: &str, wanted: f64) {
        eventually(query, PATIENCE, async || {
            let series = self.ask(query).await;
            let value = series.first().and_then(|series| series["value"][1].as_str()?.parse::<f64>().ok());
            value.filter(|value| (value - wanted).abs() < 0.5).map(|_| ())
        })
        .await;
    }
}
