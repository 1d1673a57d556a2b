//! A real browser without a window, driven by WebDriver: what a page says, looks like, asks for and complains about.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::DEADLINE;

/// What must not happen behind the test's back: no window, no second process that outlives it, no word to the vendor.
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
    // Whatever the page asks for, only this machine is found.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
];

/// One browser with one page. Ends with the test, also by a panic.
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

    /// One whose user has switched scripts off.
    pub async fn without_scripts() -> Self {
        Self::launch(json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    async fn launch(preferences: Value) -> Self {
        let lacking = "a browser and its driver; `setup/setup browser` installs them";
        let program = ["chromium", "google-chrome", "chromium-browser"].into_iter().find_map(on_path).expect(lacking);
        let profile = tempfile::Builder::new().prefix("e2e-browser").tempdir().expect("a folder");
        let mut driver = Command::new(on_path("chromedriver").expect(lacking));
        let driver = driver.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        // Both leave files in the temporary folder when they are killed, so it goes with the profile.
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
        // It writes on, and a full pipe would stop it.
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

    /// What a script's `return` gives.
    pub async fn eval(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The text that a reader sees there; nothing where there is no such element.
    pub async fn text(&self, selector: &str) -> String {
        // A drawing has no `innerText`.
        let script =
            "const found = document.querySelector(SELECTOR); return found?.innerText ?? found?.textContent ?? ''";
        let script = script.replace("SELECTOR", &json!(selector).to_string());
        self.eval(&script).await.as_str().unwrap_or_default().to_owned()
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// The size of the window, and whether its user likes it `light` or `dark`.
    pub async fn look_like(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", feature).await;
    }

    /// The window as a PNG picture, in base 64.
    pub async fn picture(&self) -> String {
        let taken = self.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
        taken["data"].as_str().expect("a picture").to_owned()
    }

    /// What the page has complained about since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().expect("a list").iter();
        entries.filter_map(|entry| Some(entry["message"].as_str()?.to_owned())).collect()
    }

    /// All URLs that were asked for over a network since the last call; the browser has pages of its own too.
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
        // The driver dies at once, and would leave its browser behind: that is known by the folder of its profile.
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
