//! `canary`: a new release is tried on a part of the traffic.

use std::time::Duration;

use super::Case;
use crate::model::{CanaryPolicy, CanaryStep, OnSilence, Ratio, Share, Sticky, Testers};

fn block(canary: &str) -> Case {
    Case::block(&format!("      port: 80\n      canary: {canary}\n"))
}

fn canary(text: &str) -> CanaryPolicy {
    block(text).first_app().canary.expect("a canary")
}

#[test]
fn it_is_read() {
    assert_eq!(canary("{}"), CanaryPolicy::default());
    let read = canary(
        "{ steps: [{ weight: 0.5%, for: 30s }, { weight: 10% }], sticky: client, match: { header: \"X-Canary: yes\" }, \
         gate: { max_error_increase: 2%, max_latency_ratio: 1.5, min_requests: 50, max_wait: 5m, on_silence: hold } }",
    );
    let step = |weight: &str, seconds| CanaryStep {
        weight: weight.parse().expect("a share"),
        duration: Duration::from_secs(seconds),
    };
    assert_eq!(read.steps, [step("0.5%", 30), step("10%", 120)]);
    let testers = |header: Option<&str>, cookie: Option<&str>| Testers {
        header: header.map(str::to_owned),
        cookie: cookie.map(str::to_owned),
        value: "yes".to_owned(),
    };
    assert_eq!((read.sticky, read.testers), (Sticky::Client, Some(testers(Some("X-Canary"), None))));
    let gate = read.gate;
    assert_eq!((gate.max_error_increase, gate.max_latency_ratio), (Share::of_percent(2), Some(Ratio::new(150))));
    assert_eq!((gate.min_requests, gate.max_wait, gate.on_silence), (50, Duration::from_secs(300), OnSilence::Hold));
    assert_eq!(canary("{ match: { cookie: tester=yes } }").testers, Some(testers(None, Some("tester"))));
    assert_eq!(Case::block("      port: 80\n").first_app().canary, None);
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let refuses = |canary: &str, message: &str, hint: &str| block(canary).refuses(&format!("6:{message}"), hint);
    refuses(
        "{ steps: [{ weight: 25% }, { weight: 5% }] }",
        "42: the weight of a step must be larger than the one before it, not 5 %",
        "a client that has the new version keeps it",
    );
    refuses(
        "{ steps: [{ weight: 100% }] }",
        "35: `weight` must be more than `0%` and less than `100%`, which is the flip itself, not `100%`",
        "",
    );
    refuses(
        "{ steps: [{ weight: 5 }] }",
        "35: `weight` must be a share of at most 100%, such as `5%` or `0.5%`, not `5`",
        "",
    );
    refuses("{ steps: [{ for: 5s }] }", "25: a step needs a `weight`", "write such as `{ weight: 5%, for: 2m }`");
    refuses(
        "{ steps: [] }",
        "17: `steps` has 0 steps, and a canary has 1 to 20",
        "write such as `steps: [{ weight: 5%, for: 2m }]`",
    );
    refuses(
        "{ gate: { max_errors: 1% } }",
        "25: unknown key `max_errors` in `gate`",
        "remove it, or start its name with `x-` if it is yours",
    );
    refuses(
        "{ rehearse: {} }",
        "17: unknown key `rehearse` in `canary`",
        "remove it, or start its name with `x-` if it is yours",
    );
    refuses(
        "{ match: {} }",
        "17: `match` needs either a `header` or a `cookie`",
        "write such as `match: { header: \"X-Canary: yes\" }` or `match: { cookie: canary=yes }`",
    );
    refuses(
        "{ match: { header: yes } }",
        "34: `header` must be a header with its value, such as `X-Canary: yes`, not `yes`",
        "",
    );
    Case::block("      canary: {}\n").refuses(
        "5:7: app `web` has `canary` but no `port`",
        "add the `port` that it listens on, or remove what only a routed app needs",
    );
    let stop_first = "name: shop\nservices:\n  web:\n    image: a\n    deploy: { update_config: { order: stop-first } }\n    x-deploy-apps:\n      port: 80\n      canary: {}\n";
    Case::new(stop_first).refuses(
        "8:7: app `web` has a `canary` and `order: stop-first`, with which two releases never run at once",
        "remove one of the two",
    );
}
