//! The plots of `drain-test`: load while apps are redeployed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::page::{Band, Hue, Line, Mark, Miss, Plot, Stage, Unit};
use super::text::{count, duration};
use crate::model::{Course, Moment, ReleaseNumber, StepKind, TimedDeploy, TimedStep};

/// With more deploys than this, stages would be thinner than a line; only the close-up of one deploy shows them.
const STAGES_MOST: usize = 25;
const MARKS_MOST: usize = 60;
/// Steps of one stage closer together than this are drawn as one.
const PAUSE_MS: u64 = 50;

/// The release name under which the proxy counts requests that reached no replica.
const NO_REPLICA: &str = "r0";

/// A plot and its caption.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// File name of the standalone plot, without extension.
    pub name: &'static str,
    pub plot: Plot,
    pub under: String,
}

/// Plots of the whole run: latency, requests per second, open requests.
#[must_use]
pub fn overview(course: &Course) -> Vec<Shown> {
    let each = Unit::Milliseconds.text(course.slot_ms as f64);
    let latency = Shown {
        name: "latency",
        plot: latency("Latency over time", course),
        under: format!(
            "Short requests, as their clients saw them, in steps of {each}. The strip has the stages of each deploy."
        ),
    };
    let requests = requests(course);
    let open = Shown {
        name: "open",
        plot: open("Open requests by release", course),
        under:
            "Requests and WebSockets that the proxy has open: after a flip the old release only finishes what it has."
                .to_owned(),
    };
    vec![latency, requests, open].into_iter().filter(|shown| !shown.plot.is_empty()).collect()
}

/// Plots of one deploy, zoomed in so that its stages are visible. `why` says why this deploy was chosen.
#[must_use]
pub fn close_up(course: &Course, deploy: &TimedDeploy, why: &str) -> Vec<Shown> {
    let number = deploy.number;
    let mut took: BTreeMap<usize, (String, f64)> = BTreeMap::new();
    for stage in stages(deploy) {
        took.entry(stage.number).or_insert((stage.name, 0.0)).1 += stage.to - stage.from;
    }
    let told: Vec<String> = took
        .values()
        .map(|(name, seconds)| format!("{name} {}", duration(Duration::from_secs_f64(*seconds))))
        .collect();
    let latency = Shown {
        name: "close-up-latency",
        plot: latency(&format!("Deploy {number} close up: latency"), course),
        under: format!("{why}. {}.", told.join(", ")),
    };
    let open = Shown {
        name: "close-up-open",
        plot: open(&format!("Deploy {number} close up: open requests"), course),
        under: "Requests and WebSockets that the proxy has open, by release.".to_owned(),
    };
    vec![latency, open].into_iter().filter(|shown| !shown.plot.is_empty()).collect()
}

fn latency(title: &str, course: &Course) -> Plot {
    let line = |value: fn(&Moment) -> Option<u64>| -> Vec<(f64, f64)> {
        let value = |moment| value(moment).map_or(f64::NAN, |us| us as f64 / 1000.0);
        course.slots.iter().map(|moment| (middle(course, moment), value(moment))).collect()
    };
    let slowest = course.slots.iter().max_by_key(|moment| moment.max_us);
    let about = slowest.and_then(|moment| Some((moment.at_ms, moment.max_us?))).map_or(String::new(), |(at, us)| {
        let (at, took) = (at as f64 / 1000.0, Unit::Milliseconds.text(us as f64 / 1000.0));
        format!("Lines for the median, the 99th percentile and the slowest answer. The slowest of all took {took}, {at:.1} s after the start.")
    });
    let plot = Plot::new(title, course.seconds(), Unit::Milliseconds)
        .log()
        .about(&about)
        .line(Line::new("p50", Hue::Series(0), line(|moment| moment.p50_us)))
        .line(Line::new("p99", Hue::Series(1), line(|moment| moment.p99_us)))
        .line(Line::new("slowest", Hue::Quiet, line(|moment| moment.max_us)).dotted())
        .misses(misses(course));
    with_deploys(plot, course, true)
}

fn requests(course: &Course) -> Shown {
    let title = "Requests per second by release";
    let seconds = course.slot_ms as f64 / 1000.0;
    let mut releases: Vec<&str> =
        course.slots.iter().flat_map(|moment| moment.per_second.keys().map(String::as_str)).collect();
    releases.sort_unstable_by_key(|release| (rank(release), *release));
    releases.dedup();
    // The last slot is shorter than the others, so its rate would be too low.
    let slots = &course.slots[..course.slots.len().saturating_sub(1)];
    let plot = Plot::new(title, course.seconds(), Unit::PerSecond).about(&order(course));
    let (plot, under) = if releases.is_empty() {
        let points = slots.iter().map(|moment| (middle(course, moment), moment.ok as f64 / seconds)).collect();
        (plot.stack([Line::new("answered", Hue::Series(0), points)]), "Answers, as the clients counted them.")
    } else {
        let series = releases.into_iter().map(|release| {
            let rate = |moment: &Moment| moment.per_second.get(release).copied().unwrap_or(0.0);
            let points = slots.iter().map(|moment| (middle(course, moment), rate(moment))).collect();
            let shown = if release == NO_REPLICA { "no replica" } else { release };
            Line::new(shown, hue(rank(release)), points)
        });
        let under = match course.is_told {
            true => {
                "Answers, by the release that they name: at a flip all new requests move at once, and the old release ends what it has."
            }
            false => "As the proxy counts them, a mean over two seconds: a flip looks slower than it is.",
        };
        (plot.stack(series), under)
    };
    Shown { name: "requests", plot: with_deploys(plot, course, false), under: under.to_owned() }
}

fn open(title: &str, course: &Course) -> Plot {
    let mut plot = Plot::new(title, course.seconds(), Unit::Count).about(&order(course));
    for release in releases_with_open(course) {
        let at = |index: usize| course.slots.get(index).and_then(|moment| moment.open.get(&release)).copied();
        let first = (0..course.slots.len()).find(|index| at(*index).is_some()).unwrap_or(0);
        let last = (0..course.slots.len()).rfind(|index| at(*index).is_some()).unwrap_or(0);
        // The area starts and ends at zero, because the release does not exist before and after.
        let alive = first.saturating_sub(1)..=last + 1;
        let value = |index| if alive.contains(&index) { at(index).unwrap_or(0.0) } else { f64::NAN };
        let points = course.slots.iter().enumerate().map(|(index, moment)| (middle(course, moment), value(index)));
        plot = plot.line(Line::new(&release.to_string(), hue(release.0 as usize), points.collect()));
    }
    with_deploys(plot, course, true)
}

fn with_deploys(plot: Plot, course: &Course, has_stages: bool) -> Plot {
    let deploys = &course.deploys;
    let bands = deploys.iter().map(|deploy| {
        let to = deploy.release.map_or(String::new(), |release| format!(" to {release}"));
        let (from, to_s) = (seconds(deploy.from_ms), seconds(deploy.to_ms));
        Band { from, to: to_s, name: format!("deploy {}{to}: {:.1} s", deploy.number, to_s - from) }
    });
    let plot = plot.bands(bands);
    let plot =
        if has_stages && deploys.len() <= STAGES_MOST { plot.stages(deploys.iter().flat_map(stages)) } else { plot };
    if deploys.len() > MARKS_MOST {
        return plot;
    }
    let flips = deploys.iter().flat_map(|deploy| {
        let flips = deploy.steps.iter().filter(|step| step.kind == StepKind::Flip);
        let to = deploy.release.map_or("flip".to_owned(), |release| format!("flip to {release}"));
        flips.map(move |step| Mark { at: seconds(step.to_ms), name: to.clone() })
    });
    plot.marks(flips)
}

/// The stages of a deploy in order of time; overlapping or adjacent steps of one stage are merged.
fn stages(deploy: &TimedDeploy) -> Vec<Stage> {
    let mut steps: Vec<(usize, &'static str, u64, u64)> = deploy.steps.iter().filter_map(stage).collect();
    steps.sort_by_key(|(_, _, from, _)| *from);
    let mut joined: Vec<(usize, &'static str, u64, u64)> = Vec::new();
    for (number, name, from, to) in steps {
        match joined.iter_mut().rfind(|(known, ..)| *known == number) {
            Some((.., end)) if from <= *end + PAUSE_MS => *end = to.max(*end),
            _ => joined.push((number, name, from, to)),
        }
    }
    let stage = |(number, name, from, to): (usize, &str, u64, u64)| {
        let hint = format!("{name} {}", duration(Duration::from_millis(to - from)));
        Stage { from: seconds(from), to: seconds(to), name: name.to_owned(), number, hint }
    };
    joined.into_iter().map(stage).collect()
}

fn stage(step: &TimedStep) -> Option<(usize, &'static str, u64, u64)> {
    let (number, name) = match step.kind {
        StepKind::Build | StepKind::Setup => (0, "build"),
        StepKind::Create | StepKind::Start | StepKind::Hook => (1, "start"),
        StepKind::Gate | StepKind::Release | StepKind::Dependency => (2, "gate"),
        StepKind::Flip | StepKind::Confirm => (3, "flip"),
        StepKind::Drain => (4, "drain"),
        StepKind::Stop | StepKind::Remove => (5, "stop"),
        StepKind::Record | StepKind::Pause | StepKind::Canary => return None,
    };
    Some((number, name, step.from_ms, step.to_ms))
}

fn misses(course: &Course) -> Vec<Miss> {
    let mut causes: BTreeMap<&str, Vec<(f64, u64)>> = BTreeMap::new();
    for moment in &course.slots {
        for (cause, count) in &moment.failed {
            causes.entry(cause).or_default().push((middle(course, moment), *count));
        }
    }
    causes.into_iter().map(|(cause, at)| Miss { cause: cause.to_owned(), at }).collect()
}

fn releases_with_open(course: &Course) -> BTreeSet<ReleaseNumber> {
    course.slots.iter().flat_map(|moment| moment.open.keys().copied()).collect()
}

fn order(course: &Course) -> String {
    let releases: Vec<String> = releases_with_open(course).into_iter().map(|release| release.to_string()).collect();
    let deploys = count(course.deploys.len() as u64, "deploy");
    if releases.is_empty() { deploys } else { format!("{deploys}; releases in their order: {}", releases.join(", ")) }
}

/// The centre of a slot, where its values are drawn.
fn middle(course: &Course, moment: &Moment) -> f64 {
    seconds(moment.at_ms) + course.slot_ms as f64 / 2000.0
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// The number in a release's name: 8 in `r8`, `8` or `1.4.0+8`.
fn rank(release: &str) -> usize {
    let digits = release.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

/// A colour that is the same for a release in all plots and differs from its neighbours'.
fn hue(number: usize) -> Hue {
    if number == 0 { Hue::Lost } else { Hue::Series(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: StepKind, from_ms: u64, to_ms: u64) -> TimedStep {
        TimedStep { kind, subject: None, from_ms, to_ms }
    }

    fn course() -> Course {
        let moment = |number: u64| Moment {
            at_ms: number * 250,
            ok: 100,
            failed: if number == 6 { BTreeMap::from([("reset".to_owned(), 2)]) } else { BTreeMap::new() },
            p50_us: (number != 3).then_some(4000),
            p99_us: (number != 3).then_some(9000),
            max_us: (number != 3).then_some(20_000 + number),
            open: BTreeMap::from([if number < 6 { (ReleaseNumber(1), 5.0) } else { (ReleaseNumber(2), 5.0) }]),
            per_second: BTreeMap::new(),
        };
        let steps = vec![
            step(StepKind::Record, 200, 210),
            step(StepKind::Create, 300, 500),
            step(StepKind::Start, 510, 900),
            step(StepKind::Gate, 900, 1400),
            step(StepKind::Flip, 1400, 1450),
            step(StepKind::Drain, 1450, 2000),
        ];
        let release = Some(ReleaseNumber(2));
        let deploy = TimedDeploy { number: 1, release, from_ms: 200, to_ms: 2000, steps };
        Course { slot_ms: 250, slots: (0..10).map(moment).collect(), is_told: false, deploys: vec![deploy] }
    }

    #[test]
    fn steps_beside_each_other_are_one_stage() {
        let found: Vec<_> = stages(&course().deploys[0]).into_iter().map(|stage| stage.hint).collect();
        assert_eq!(found, ["start 0.6s", "gate 0.5s", "flip 50ms", "drain 0.6s"]);
    }

    #[test]
    fn the_overview_shows_what_the_course_has() {
        let shown = overview(&course());
        assert_eq!(shown.iter().map(|shown| shown.name).collect::<Vec<_>>(), ["latency", "requests", "open"]);
        let drawn: Vec<String> = shown.iter().map(|shown| shown.plot.standalone("")).collect();
        assert!(drawn[0].contains("2 × reset") && drawn[0].contains("deploy 1 to r2: 1.8 s"), "{}", drawn[0]);
        assert!(drawn.iter().all(|drawing| drawing.contains("flip to r2")));
        assert!(drawn[1].contains(">answered<"), "nobody asked the proxy: {}", drawn[1]);
        assert!(drawn[2].contains(">r1<") && drawn[2].contains(">r2<"));
        assert_eq!(overview(&Course::default()).len(), 0, "nothing is no plot");
    }

    #[test]
    fn releases_stand_in_the_order_of_their_numbers() {
        assert_eq!(["r8", "8", "1.4.0+12", "blue"].map(rank), [8, 8, 12, 0]);
        let mut course = course();
        for (moment, release) in course.slots.iter_mut().zip(["r9", "r9", "r10", "r10", "r10"]) {
            moment.per_second.insert(release.to_owned(), 400.0);
        }
        let drawn = requests(&course).plot.standalone("");
        assert!(drawn.find("area c4") < drawn.find("area c0"), "r9 lies under r10: {drawn}");
    }

    #[test]
    fn a_release_that_is_gone_has_no_line() {
        let drawn = open("Open", &course()).standalone("");
        let lines: Vec<&str> = drawn.split("class=\"edge  c1\" d=\"").skip(1).collect();
        let places = lines[0].split('"').next().expect("a path").matches('L').count();
        assert_eq!(places, 6, "six slots and the one in which it is nothing, from 10: {}", lines[0]);
    }
}
