//! The sample's monitoring with accelerated time, and the mails that it sends.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Host, eventually};

/// One minute of the rules is one second here, so this is long.
const PATIENCE: Duration = Duration::from_secs(90);

/// Makes the monitoring sixty times as fast: in the rules of this copy a minute becomes a second and an hour a minute,
/// in `for` and in windows, and all targets are scraped every second. The conditions are unchanged.
pub fn hurry(host: &Host) {
    let prometheus = host.folder().join("stack/prometheus");
    let sed = |script: &str, folder: &Path| {
        let found = fs::read_dir(folder).expect("a folder of the sample").map(|entry| entry.expect("a file").path());
        let files = found.filter(|path| path.extension().is_some_and(|extension| extension == "yml"));
        assert!(Command::new("sed").args(["-E", "-i", script]).args(files).status().expect("sed").success());
    };
    sed(r"s/\b([0-9]+)m\b/\1s/g; s/\b([0-9]+)h\b/\1m/g", &prometheus.join("rules"));
    sed(r"s/(interval: )[0-9]+s$/\11s/", &prometheus);
    let env = host.folder().join(".env");
    let text = fs::read_to_string(&env).expect("the sample's `.env`");
    fs::write(env, text + "ALERT_GROUP_WAIT=1s\nALERT_GROUP_INTERVAL=1s\n").expect("a writable folder");
}

/// Discards mails sent so far, as they are not caused by the next fault.
pub async fn forget_mails(host: &Host) {
    let address = format!("http://127.0.0.1:{}/messages", host.port_of("MAIL_PORT"));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    assert!(client.delete(address).send().await.expect("an answer").status().is_success());
}

/// The first alert of this name that was mailed with `status` and contains `says`.
pub async fn mailed(host: &Host, status: &str, name: &str, says: &str) -> String {
    let address = format!("http://127.0.0.1:{}/messages", host.port_of("MAIL_PORT"));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let label = format!("alertname={name} ");
    eventually(&format!("a mail: {status} {name}"), PATIENCE, async || {
        let mails: Value = serde_json::from_str(&client.get(&address).send().await.ok()?.text().await.ok()?).ok()?;
        let texts = mails.as_array()?.iter().filter_map(|mail| mail["text"].as_str());
        let alerts = texts.flat_map(|text| text.split("\n\n")).map(str::trim);
        alerts
            .filter(|text| text.starts_with(status))
            .find(|text| text.contains(&label) && text.contains(says))
            .map(str::to_owned)
    })
    .await
}

/// Checks that the mail about a fault is helpful, and that the mail about its end arrives.
pub async fn told(host: &Host, name: &str, severity: &str, says: &str) {
    let text = mailed(host, "FIRING", name, says).await;
    let runbook = format!("runbook: docs/sample/runbooks.md#{}", name.to_lowercase());
    for part in [runbook, format!("severity={severity}")] {
        assert!(text.contains(&part), "the mail does not say `{part}`:\n{text}");
    }
}

pub async fn over(host: &Host, name: &str) {
    mailed(host, "RESOLVED", name, "").await;
}
