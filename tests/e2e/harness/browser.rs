//! A headless browser, controlled by WebDriver: a page's text, layout, requests and errors.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::DEADLINE;

/// No window, no background processes, no requests to the vendor.
const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Only this machine resolves, whatever the page requests.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
];

/// A browser with one page. Closed when dropped, also after a panic.
pub struct Browser {
    driver: Child,
    profile: TempDir,
    client: reqwest::Client,
    session: String,
}

impl Browser {
    pub async fn start() -> Self {
        Self::launch(json!({})).await
    }

    /// A browser with JavaScript disabled.
    pub async fn without_scripts() -> Self {
        Self::launch(json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    async fn launch(preferences: Value) -> Self {
        let lacking = "a browser and its driver; `setup/setup browser` installs them";
        let program = ["chromium", "google-chrome", "chromium-browser"].into_iter().find_map(on_path).expect(lacking);
        let profile = tempfile::Builder::new().prefix("e2e-browser").tempdir().expect("a folder");
        let mut driver = Command::new(on_path("chromedriver").expect(lacking));
        let driver = driver.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        // Both leave files in the temporary folder when they are killed, so it is inside of the profile's folder.
        let mut driver = driver.env("TMPDIR", profile.path()).spawn().expect("the driver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = async {
            loop {
                let line = lines.next_line().await.expect("text").expect("a line with the port before the end");
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return port.trim_end_matches('.').parse::<u16>().expect("a port");
                }
            }
        };
        let port = timeout(DEADLINE, port).await.expect("a driver that listens");
        // The driver keeps writing, and a full pipe would block it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().expect("a client");
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([folder.as_str()]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "binary": program, "args": arguments, "prefs": preferences },
        } } });
        let mut browser = Self { driver, profile, client, session: format!("http://127.0.0.1:{port}/session") };
        let made = browser.post("", wanted).await;
        browser.session = format!("{}/{}", browser.session, made["sessionId"].as_str().expect("a session"));
        browser
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.session)).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.expect("an answer of the driver");
        let is_good = answer.status().is_success();
        let text = answer.text().await.expect("text");
        let mut document: Value = serde_json::from_str(&text).expect("JSON");
        assert!(is_good, "`{path}`: {document:#}");
        document["value"].take()
    }

    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// The value that the script returns.
    pub async fn eval(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The visible text of an element; empty if it does not exist.
    pub async fn text(&self, selector: &str) -> String {
        // SVG elements have no `innerText`.
        let script =
            "const found = document.querySelector(SELECTOR); return found?.innerText ?? found?.textContent ?? ''";
        let script = script.replace("SELECTOR", &json!(selector).to_string());
        self.eval(&script).await.as_str().unwrap_or_default().to_owned()
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// Sets the window size, and the colour scheme `light` or `dark`.
    pub async fn look_like(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", feature).await;
    }

    /// A screenshot as base64 PNG.
    pub async fn picture(&self) -> String {
        let taken = self.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
        taken["data"].as_str().expect("a picture").to_owned()
    }

    /// Errors and warnings in the page's console since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().expect("a list").iter();
        entries.filter_map(|entry| Some(entry["message"].as_str()?.to_owned())).collect()
    }

    /// All URLs requested over the network since the last call; the browser's internal pages are left out.
    pub async fn requested(&self) -> Vec<String> {
        let entries = self.post("/se/log", json!({ "type": "performance" })).await;
        let entries = entries.as_array().expect("a list").iter();
        let messages = entries.filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        let sent = messages.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        let urls = sent.filter_map(|event| Some(event.pointer("/message/params/request/url")?.as_str()?.to_owned()));
        urls.filter(|url| !["chrome:", "data:", "about:"].iter().any(|own| url.starts_with(own))).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver exits without closing its browser, which is found by its profile folder.
        let _ = self.driver.start_kill();
        let mark = self.profile.path().display().to_string();
        for _ in 0..50 {
            let ours: Vec<rustix::process::Pid> = processes_with(&mark).collect();
            if ours.is_empty() {
                return;
            }
            for pid in ours {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn processes_with(mark: &str) -> impl Iterator<Item = rustix::process::Pid> {
    let entries = std::fs::read_dir("/proc").expect("the list of processes").flatten();
    entries.filter_map(move |entry| {
        let pid = rustix::process::Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(mark).then_some(pid)
    })
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| Path::is_file(file))
}
