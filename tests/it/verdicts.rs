//! How often the verdict about a canary is wrong: simulated steps, the same in every run of the test.

use deploy_apps::model::{CanaryGate, Figures, Ratio, judge};

const BOUNDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Durations that are spread as those of many apps: most are short, and few take several times as long.
fn buckets(durations: impl IntoIterator<Item = f64>) -> Vec<u64> {
    let mut counts = vec![0; BOUNDS.len() + 1];
    for duration in durations {
        counts[BOUNDS.iter().position(|bound| duration <= *bound).unwrap_or(BOUNDS.len())] += 1;
    }
    counts
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    /// Between 0 and 1, neither of them.
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// How many of so many requests fail: from failure to failure, which costs a throw for each of them alone.
    fn failures(&mut self, requests: u64, share: f64) -> u64 {
        if share <= 0.0 {
            return 0;
        }
        let (mut failures, mut at) = (0, 0.0);
        loop {
            at += 1.0 + (self.throw().ln() / (1.0 - share).ln()).floor();
            if at > requests as f64 {
                break;
            }
            failures += 1;
        }
        failures
    }

    /// By the way of Box and Muller.
    fn duration(&mut self, scale: f64) -> f64 {
        let normal = (-2.0 * self.throw().ln()).sqrt() * (std::f64::consts::TAU * self.throw()).cos();
        scale * (0.8 * normal).exp()
    }
}

/// A step of so many requests for the canary, with a look after each fiftieth part of it. Returns whether it was aborted.
fn step(dice: &mut Dice, gate: &CanaryGate, weight: f64, requests: u64, fails: [f64; 2], scale: [f64; 2]) -> bool {
    const LOOKS: u64 = 50;
    let timed = gate.max_latency_ratio.is_some();
    let mut seen = [Figures::default(), Figures::default()];
    let ahead = (requests / LOOKS, (requests as f64 * (1.0 - weight) / weight) as u64 / LOOKS);
    for _ in 0..LOOKS {
        for (index, requests) in [ahead.1, ahead.0].into_iter().enumerate() {
            seen[index].requests += requests;
            seen[index].errors += dice.failures(requests, fails[index]);
            let durations = (0..if timed { requests } else { 0 }).map(|_| dice.duration(scale[index]));
            let more = buckets(durations.collect::<Vec<_>>());
            let before = std::mem::take(&mut seen[index].buckets);
            let sum = more.iter().enumerate().map(|(place, count)| count + before.get(place).copied().unwrap_or(0));
            seen[index].buckets = sum.collect();
        }
        if judge(gate, &BOUNDS, &seen[0], &seen[1]).is_some() {
            return true;
        }
    }
    false
}

fn share_of_aborted(runs: u64, mut one: impl FnMut(&mut Dice) -> bool) -> f64 {
    let mut dice = Dice(1);
    (0..runs).filter(|_| one(&mut dice)).count() as f64 / runs as f64
}

/// Prints its table with `cargo test --test it rates_of -- --nocapture`; docs/guide/canary.md has it.
#[test]
fn rates_of_false_and_missed_aborts_over_10_000_runs() {
    const RUNS: u64 = 10_000;
    let gate = CanaryGate::default();
    println!(
        "| errors of the serving release | weight | false aborts of one that is as good | missed of one that fails 5 % more |"
    );
    println!("| --- | --- | --- | --- |");
    for weight in [0.05, 0.25, 0.5] {
        for base in [0.0, 0.002, 0.01, 0.02] {
            let run = |fails| share_of_aborted(RUNS, |dice| step(dice, &gate, weight, 1000, [base, fails], [1.0; 2]));
            let (wrong, missed) = (run(base), 1.0 - run(base + 0.05));
            let (errors, share) = (base * 100.0, weight * 100.0);
            println!("| {errors} % | {share} % | {:.2} % | {:.2} % |", wrong * 100.0, missed * 100.0);
            assert!(wrong <= 0.001, "{base} at {weight}: {wrong} of the good ones are aborted");
            assert!(missed <= 0.01 || base > 0.005, "{base} at {weight}: {missed} of the bad ones are missed");
        }
    }
}

/// As the one before, of latency, with fewer runs: each request has a duration.
#[test]
fn rates_of_false_and_missed_aborts_by_latency() {
    const RUNS: u64 = 100;
    let gate = CanaryGate { max_latency_ratio: Some(Ratio::new(150)), ..CanaryGate::default() };
    println!(
        "| median | false aborts of one that is as fast | missed of one that is 3 × slower, 1,000 requests | 4,000 requests |"
    );
    println!("| --- | --- | --- | --- |");
    for scale in [0.004, 0.02, 0.08, 0.4] {
        let run = |slower, requests| {
            let scales = [scale, scale * slower];
            share_of_aborted(RUNS, |dice| step(dice, &gate, 0.25, requests, [0.0; 2], scales))
        };
        let (wrong, missed, later) = (run(1.0, 1000), 1.0 - run(3.0, 1000), 1.0 - run(3.0, 4000));
        let shares = [wrong, missed, later].map(|share| format!("{:.0} %", share * 100.0));
        println!("| {:.0} ms | {} |", scale * 1000.0, shares.join(" | "));
        assert!(wrong == 0.0 && missed <= 0.5 && later <= 0.01, "{scale}: {shares:?}");
    }
}
