//! `x-deploy-apps.notify`: valid and invalid values, and that no secret is shown.

use std::time::Duration;

use super::Case;
use crate::model::WebhookFormat;

fn case(lines: &str) -> Case {
    Case::new(&format!(
        "services: {{ web: {{ image: \"a:1\", x-deploy-apps: {{ port: 80 }} }} }}\nx-deploy-apps:\n{lines}"
    ))
}

#[test]
fn a_webhook_only_needs_a_url() {
    let project =
        case("  notify: [{ url: \"${HOOK}\" }]\n").env("HOOK", "https://hooks.example.com/T0/secret").project();
    let hook = &project.notify[0];
    assert_eq!((hook.url.reveal(), hook.place.as_str()), ("https://hooks.example.com/T0/secret", "hooks.example.com"));
    assert!(hook.on_success && hook.on_failure);
    assert_eq!((hook.format, hook.timeout), (WebhookFormat::Json, Duration::from_secs(5)));
    assert!(!format!("{project:?}").contains("secret"));
    assert!(!serde_json::to_string(&project).expect("JSON").contains("secret"));
}

#[test]
fn a_webhook_has_options() {
    let lines = "  notify:\n    - url: http://127.0.0.1:9000/x\n      on: failure\n      format: slack\n      timeout: 2s\n      \
                 headers: { X-Token: abc }\n    - { url: http://b/, on: [success, failure] }\n";
    let project = case(lines).project();
    let [first, second] = &project.notify[..] else { panic!("{:?}", project.notify) };
    assert_eq!((first.place.as_str(), first.on_success, first.on_failure), ("127.0.0.1:9000", false, true));
    assert_eq!((first.format, first.timeout), (WebhookFormat::Slack, Duration::from_secs(2)));
    assert_eq!(first.headers["X-Token"].reveal(), "abc");
    assert!(second.on_success && second.on_failure);
}

#[test]
fn invalid_webhooks_are_refused_with_position() {
    let hint = "its value is not shown, because it may hold a token; check the variable it comes from";
    for url in ["ftp://a/b", "hooks.example.com/x", "\"\"", "http://"] {
        let case = case(&format!("  notify: [{{ url: {url} }}]\n"));
        case.refuses("3:19: `url` must be an `http://` or `https://` URL", hint);
    }
    let example = "write such as `notify: [{ url: \"${DEPLOY_WEBHOOK}\", on: [failure] }]`";
    case("  notify: [{ on: failure }]\n").refuses("3:12: a webhook needs a `url`", example);
    case("  notify: [http://a/]\n").refuses("3:12: `notify` must be a list of maps, not `http://a/`", example);
    case("  notify: [{ url: http://a/, on: [] }]\n")
        .refuses("3:30: `on` is empty, so it would never be called", "name `success` or `failure`");
    case("  notify: [{ url: http://a/, on: always }]\n")
        .refuses("3:34: `on` must be `success` or `failure`, not `always`", "");
    case("  notify: [{ url: http://a/, urls: b }]\n")
        .refuses("3:30: unknown key `urls` in `notify`", "did you mean `url`?");
    case("  notify: [{ url: http://a/, headers: { \"a b\": c } }]\n")
        .refuses("3:41: `a b` is not a header's name", "use letters, digits and `-`, such as `X-Token`");
}

#[test]
fn a_refusal_does_not_show_the_value_of_a_variable() {
    let error = case("  notify: [{ url: \"${HOOK}\" }]\n").env("HOOK", "htps://secret").error();
    assert!(!error.contains("secret"), "{error}");
    let error = case("  notify: [{ url: http://a/, headers: { A: \"${T}\" } }]\n").env("T", "secret\u{7}").error();
    assert!(!error.contains("secret"), "{error}");
}
