//! The page and the pictures of `drain-test`, in a real browser, against what its JSON result says.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{App, Browser, Output, Scenario};

/// Everything that is wrong with what the browser shows; so a broken page can be shown to be found.
async fn faults(browser: &Browser, file: &Path, app: &Value) -> Vec<String> {
    browser.look_like(1200, 900, "light").await;
    browser.requested().await;
    browser.complaints().await;
    let url = format!("file://{}", file.display());
    browser.open(&url).await;
    let mut faults = drawn(browser, app).await;
    for (width, scheme) in [(1200, "light"), (1200, "dark"), (390, "light"), (390, "dark")] {
        browser.look_like(width, 900, scheme).await;
        let place = format!("{width} px, {scheme}");
        faults.extend(overflowing(browser).await.into_iter().map(|text| format!("{place}: overflows: {text}")));
        // An empty window is a quarter of this.
        let picture = browser.picture().await;
        if picture.len() < 20_000 || browser.eval(UNSEEN).await != 0 {
            faults.push(format!("{place}: is blank, or a plot is; {} characters of picture", picture.len()));
        }
    }
    faults.extend(browser.complaints().await.into_iter().map(|complaint| format!("complains: {complaint}")));
    faults.extend(
        browser.requested().await.into_iter().filter(|asked| *asked != url).map(|asked| format!("asks: {asked}")),
    );
    faults
}

/// What each plot shows, counted in the drawing, beside what the result says.
async fn drawn(browser: &Browser, app: &Value) -> Vec<String> {
    let course = &app["course"];
    let slots = course["slots"].as_array().expect("slots");
    let deploys = course["deploys"].as_array().expect("deploys");
    let flips: usize = deploys.iter().map(|deploy| count(&deploy["steps"], |step| step["kind"] == "flip")).sum();
    let failed: usize = slots.iter().filter_map(|slot| slot["failed"].as_object()).map(serde_json::Map::len).sum();
    let timed = |name: &str| slots.iter().filter(|slot| slot[name].is_u64()).count();
    let rated = || slots.iter().flat_map(|slot| slot["per_second"].as_object().expect("rates").keys());
    let opened = || slots.iter().flat_map(|slot| slot["open"].as_object().expect("counts").keys());
    let expected = json!({
        "latency": {
            "bands": deploys.len(), "flips": flips, "crosses": failed, "rows": slots.len(),
            "points": [timed("p50_us"), timed("p99_us"), timed("max_us")],
        },
        "requests": { "bands": deploys.len(), "flips": flips, "areas": distinct(rated()) },
        "open": { "bands": deploys.len(), "flips": flips, "lines": distinct(opened()) },
    });
    let mut seen = browser.eval(&format!("const app = {};{DRAWN}", app["app"])).await;
    let begins = seen.as_object_mut().and_then(|seen| seen.remove("begins")).unwrap_or_default();
    let begins: Vec<f64> = begins.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let began: Vec<f64> = deploys.iter().filter_map(|deploy| deploy["from_ms"].as_f64()).collect();
    // From the axis back to time; a tenth of a pixel is some milliseconds.
    let is_there =
        begins.len() == began.len() && std::iter::zip(&begins, &began).all(|(seen, at)| (seen - at).abs() < 50.0);
    let mut faults = Vec::new();
    if seen != expected {
        faults.push(format!("drawn: {seen}\nthe result: {expected}"));
    }
    if !is_there {
        faults.push(format!("drawn: bands begin at {begins:?} ms, deploys at {began:?} ms"));
    }
    faults
}

const DRAWN: &str = r#"
const plots = Object.fromEntries([...document.querySelectorAll("section.card")].map((card) =>
  [card.querySelector("h3").textContent, card]));
const heading = [...document.querySelectorAll("h2")].find((title) => title.textContent === app);
const within = (title) => { for (let at = heading.nextElementSibling; at; at = at.nextElementSibling) if (at.querySelector("h3")?.textContent === title) return at; };
const svg = (title) => within(title)?.querySelector(".wide svg");
const all = (title, what) => [...(svg(title)?.querySelectorAll(what) ?? [])];
const points = (path) => path.getAttribute("d").split(/[ML]/).length - 1;
const line = (title, hue) => points(all(title, `path.edge.${hue}`)[0]);
const [latency, requests, open] = ["Latency over time", "Requests per second by release", "Open requests by release"];
const places = (title) => ({ bands: all(title, ".band").length, flips: all(title, "line.flip").length });
// The sign in the legend is no flip.
const behind = (title) => ({ ...places(title), flips: places(title).flips - 1 });
const { left, right, from, to } = svg(latency).dataset;
const time = (x) => Number(from) + (x - left) / (right - left) * (to - from);
const names = (cells) => new Set(cells).size;
return {
  latency: { ...behind(latency), crosses: all(latency, "g > path.cross").length, rows: within(latency).querySelectorAll("tbody tr").length,
    points: [line(latency, "c0"), line(latency, "c1"), line(latency, "quiet")] },
  requests: { ...behind(requests), areas: all(requests, "path.area").length },
  open: { ...behind(open), lines: all(open, "path.edge").length },
  begins: all(latency, ".band").map((band) => time(Number(band.getAttribute("x")) - 0.5) * 1000),
};
"#;

/// Figures in which not exactly one drawing is seen: that of this width.
const UNSEEN: &str = r#"
const isSeen = (svg) => { const box = svg.getBoundingClientRect(); return box.width > 250 && box.height > 150; };
return [...document.querySelectorAll("figure")].filter((figure) => [...figure.querySelectorAll("svg")].filter(isSeen).length !== 1).length;
"#;

/// Texts that reach over the window or over their drawing, and a page that has to be moved sideways.
async fn overflowing(browser: &Browser) -> Vec<String> {
    let found = browser
        .eval(
            r#"
const found = [];
const wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > wide) found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
for (const text of document.querySelectorAll("h1, h2, h3, p, dt, dd, svg.plot text, footer")) {
  const box = text.getBoundingClientRect();
  const around = text.closest("svg")?.getBoundingClientRect() ?? { left: 0, right: wide };
  if (box.width && (box.left < around.left - 3 || box.right > around.right + 3)) found.push(text.textContent);
}
return found;"#,
        )
        .await;
    found.as_array().expect("a list").iter().map(ToString::to_string).collect()
}

fn count(list: &Value, is_meant: impl Fn(&Value) -> bool) -> usize {
    list.as_array().expect("a list").iter().filter(|item| is_meant(item)).count()
}

fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names.collect::<std::collections::BTreeSet<_>>().len()
}

fn result(output: &Output) -> Value {
    let line = output.stdout.lines().last().unwrap_or_default();
    let result = serde_json::from_str(line).unwrap_or_else(|error| panic!("no result: {error}\n{output}"));
    crate::schema::validates("drain-test", &result);
    result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_what_the_result_says_and_a_broken_one_is_found() {
    // Not drained, and deaf to its stop signal: its streams end with its kill, and the page has failures to show.
    let brutal = App::new("web").fault("ignore-term").drain("0s", "0s").set("/stop_grace_period", "1s".into());
    let host = Scenario::new("drain-page").app(brutal).start().await;
    let load = ["--clients", "8", "--gap", "5ms", "--post-path", "/upload", "--websocket-path", "/ws"];
    let bounds = ["--long-clients", "3", "--stream-for", "5m", "--deploys", "2", "--steady", "2s", "--format", "json"];
    let places = ["--html", "page.html", "--svg", "plots"];
    let output = host.deploy(&[&["drain-test", "web"][..], &load, &bounds, &places].concat()).await.exited(10);
    let result = result(&output);
    let app = &result["apps"][0];
    let report = &app["report"];
    let failed: u64 = report["failed"].as_object().expect("causes").values().filter_map(Value::as_u64).sum();
    let over_time = |name: &str| -> u64 {
        let slots = app["course"]["slots"].as_array().expect("slots").iter();
        slots.map(|slot| slot[name].as_u64().unwrap_or_else(|| sum(&slot[name]))).sum()
    };
    assert_eq!((over_time("failed"), over_time("ok")), (failed, report["ok"].as_u64().expect("a count")), "{output}");
    assert_eq!(app["course"]["deploys"].as_array().map(Vec::len), Some(2), "{output}");

    let browser = Browser::start().await;
    let file = host.folder().join("page.html");
    assert_eq!(faults(&browser, &file, app).await, [""; 0], "{output}");
    let sent = failed + report["ok"].as_u64().expect("a count");
    let verdict = browser.text("h1").await.replace(',', "");
    assert_eq!(verdict, format!("{failed} of {sent} requests failed"));
    assert!(browser.text(".tile.bad").await.contains("cut stream"), "the cause stands beside the number");
    looks_at_a_moment(&browser).await;

    // Each of these breaks one thing; a check that found nothing in them would be none.
    let text = fs::read_to_string(&file).expect("the page");
    let broken = host.folder().join("broken.html");
    for (from, to, found) in [
        ("<figure>", "<figure hidden>", "is blank"),
        ("<main>", "<main><img src=\"http://localhost:9/x.png\">", "complains"),
        ("class=\"band\"", "class=\"bond\"", "drawn"),
        ("<h3>", "<h3 style=\"width: 60rem\">", "overflows"),
    ] {
        fs::write(&broken, text.replace(from, to)).expect("a writable folder");
        let faults = faults(&browser, &broken, app).await;
        assert!(faults.iter().any(|fault| fault.contains(found)), "`{to}` is not found: {faults:?}");
    }
    stand_alone(&browser, &host.folder().join("plots")).await;
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().expect("counts").values().filter_map(Value::as_u64).sum()
}

/// A pointer over the first plot reads the table's row of that time.
async fn looks_at_a_moment(browser: &Browser) {
    browser.look_like(1200, 900, "light").await;
    let script = r#"
const card = document.querySelector("figure").parentElement;
const svg = card.querySelector(".wide svg");
const { left, right, from, to } = Object.fromEntries(Object.entries(svg.dataset).map(([key, value]) => [key, Number(value)]));
const row = [...card.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent)).find((row) => row[1] !== "–");
const box = svg.getBoundingClientRect();
const x = left + (parseFloat(row[0]) - from) / (to - from) * (right - left);
svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + x * box.width / svg.viewBox.baseVal.width, clientY: box.top + 90 }));
return [card.querySelector(".readout").textContent, row[0], row[1]];"#;
    let seen = browser.eval(script).await;
    let [said, time, p50] = [0, 1, 2].map(|index| seen[index].as_str().expect("text"));
    assert!(said.starts_with(&format!("{time}: p50 {p50}, ")), "{seen}");
}

/// Each file is a drawing of its own, in the light of its reader.
async fn stand_alone(browser: &Browser, folder: &Path) {
    for plot in ["latency", "requests", "open", "close-up-latency", "close-up-open"] {
        let url = format!("file://{}", folder.join(format!("web-{plot}.svg")).display());
        browser.open(&url).await;
        let mut grounds = Vec::new();
        for scheme in ["light", "dark"] {
            browser.look_like(900, 600, scheme).await;
            let ground = "return getComputedStyle(document.querySelector('.ground')).fill";
            grounds.push(browser.eval(ground).await.to_string());
        }
        assert_ne!(grounds[0], grounds[1], "{plot} looks the same in light and dark");
        let texts = browser.eval("return document.querySelectorAll('path.edge, path.area').length").await;
        assert!(texts.as_u64() > Some(0), "{plot} is empty");
    }
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_cannot_be_written_to_is_refused_before_the_load() {
    let host = Scenario::new("no-page").app(App::new("web")).start().await;
    fs::write(host.folder().join("file"), "").expect("a writable folder");
    for (option, place, why) in [
        ("--html", "missing/page.html", "No such file or directory"),
        ("--html", ".", "is a directory"),
        ("--svg", "file", "File exists"),
        ("--svg", "file/plots", "Not a directory"),
    ] {
        let output = host.deploy(&["drain-test", "web", option, place]).await.exited(2);
        let output =
            output.says(&format!("the report cannot be written to `{place}`: ")).says(why).says("hint: name a ");
        assert_eq!(output.stdout, "", "{output}");
    }
    // Nothing was deployed for it either.
    host.runs(&[]).await;
    let left: Vec<_> =
        fs::read_dir(host.folder()).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".drain-test")), "{left:?}");
}
