use proptest::prelude::*;

use super::*;
use crate::model::canary::Ratio;

const BOUNDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

fn figures(requests: u64, errors: u64) -> Figures {
    Figures { requests, errors, buckets: Vec::new() }
}

fn worse(stable: (u64, u64), canary: (u64, u64)) -> bool {
    judge(&CanaryGate::default(), &[], &figures(stable.0, stable.1), &figures(canary.0, canary.1)).is_some()
}

#[test]
fn a_few_errors_are_chance_and_many_are_not() {
    assert!(!worse((60, 0), (3, 1)));
    assert!(!worse((60, 0), (3, 3)));
    assert!(worse((600, 0), (600, 30)));
    assert!(worse((11_400, 20), (600, 30)));
    assert!(!worse((11_400, 570), (600, 30)), "it fails as often as what serves");
    assert!(worse((400, 0), (30, 30)), "it answers nothing at all");
    assert!(!worse((0, 0), (600, 30)), "there is nothing to compare it with");
}

#[test]
fn words_say_how_many() {
    let (canary, stable) = (figures(412, 13), figures(1288, 3));
    assert_eq!(
        compared((ReleaseNumber(8), &canary), "", Share::of_percent(25), (ReleaseNumber(7), &stable), None),
        "r8 at 25 %: 3.2 % errors of 412 requests, r7 0.2 % errors of 1,288 requests"
    );
    assert_eq!(figures(0, 0).to_string(), "no requests");
    assert_eq!(figures(1_234_567, 100).to_string(), "0.01 % errors of 1,234,567 requests");
}

#[test]
fn counters_are_compared_with_those_before() {
    let counters = |ok, failed, unreached| ReleaseCounters {
        classes: vec![9, 0, ok, 0, 0, failed],
        unreached,
        buckets: vec![ok, failed],
    };
    let now = counters(130, 7, 3).since(&counters(30, 5, 2));
    assert_eq!(now, Figures { requests: 103, errors: 3, buckets: vec![100, 2] });
    let again = counters(20, 1, 0).since(&counters(30, 5, 2));
    assert_eq!((again.requests, again.errors), (21, 1), "the proxy has started again");
    let first = counters(20, 1, 0).since(&ReleaseCounters::default());
    assert_eq!((first.requests, first.errors), (21, 1));
}

proptest! {
    #[test]
    fn more_errors_are_never_better(requests in 20_u64..5000, stable in 20_u64..50_000, part in 0.0..1.0_f64) {
        let errors = (requests as f64 * part) as u64;
        let before = worse((stable, 0), (requests, errors));
        prop_assert!(!before || worse((stable, 0), (requests, (errors + 1).min(requests))));
    }

    #[test]
    fn what_fails_no_more_often_is_never_worse(stable in 1_u64..50_000, canary in 1_u64..5000, part in 0.0..1.0_f64) {
        let (fails, canary_fails) = ((stable as f64 * part).ceil() as u64, (canary as f64 * part) as u64);
        prop_assert!(!worse((stable, fails), (canary, canary_fails)));
    }

    #[test]
    fn no_figures_break_it(a in any::<[u64; 2]>(), b in any::<[u64; 2]>(), counts in prop::collection::vec(any::<u64>(), 0..16)) {
        let gate = CanaryGate { max_latency_ratio: Some(Ratio::new(150)), ..CanaryGate::default() };
        let one = Figures { requests: a[0], errors: a[1].min(a[0]), buckets: counts.clone() };
        let two = Figures { requests: b[0], errors: b[1].min(b[0]), buckets: counts };
        let _ = judge(&gate, &BOUNDS, &one, &two);
    }
}
