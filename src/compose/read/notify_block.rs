//! `notify` of the top-level `x-deploy-apps`: webhooks that are called at the end of a run.

use indexmap::IndexMap;

use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Node, Value, clip};
use crate::compose::text::scalar::{choice, expected, raw, text};
use crate::model::{Secret, Webhook, WebhookFormat};

/// What `config` prints in place of a path, which may contain a token.
pub(in crate::compose) const MASKED_PATH: &str = "/***";

const EXAMPLE: &str = "write such as `notify: [{ url: \"${DEPLOY_WEBHOOK}\", on: [failure] }]`";

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry) -> Vec<Webhook> {
    let items = cx.keep(collections::list(entry).map_err(|problem| problem.hint(EXAMPLE)));
    let mut webhooks = Vec::new();
    for item in items.unwrap_or_default() {
        webhooks.extend(webhook(cx, item));
    }
    webhooks
}

fn webhook(cx: &mut Context<'_>, node: &Node) -> Option<Webhook> {
    let Value::Map(map) = &node.value else {
        cx.refuse(expected("notify", "a list of maps", node).hint(EXAMPLE));
        return None;
    };
    let mut url = None;
    let mut webhook = Webhook {
        url: Secret::new(String::new()),
        place: String::new(),
        on_success: true,
        on_failure: true,
        headers: IndexMap::new(),
        format: WebhookFormat::default(),
        timeout: Webhook::DEFAULT_TIMEOUT,
    };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "url" => url = Some(crate::compose::read::notify_block::url(field)),
            "on" => {
                if let Some((success, failure)) = cx.keep(on(field)) {
                    (webhook.on_success, webhook.on_failure) = (success, failure);
                }
            }
            "headers" => cx.set(&mut webhook.headers, headers(field)),
            "format" => {
                let formats = [("json", WebhookFormat::Json), ("slack", WebhookFormat::Slack)];
                cx.set(&mut webhook.format, choice("format", &field.value, &formats));
            }
            "timeout" => cx.set(&mut webhook.timeout, field.positive_duration()),
            _ => refuse::NOTIFY.judge(cx, field),
        }
    }
    let missing = || Err(Problem::at(node.span, "a webhook needs a `url`").hint(EXAMPLE));
    (webhook.url, webhook.place) = cx.keep(url.unwrap_or_else(missing))?;
    if webhook.url.reveal().ends_with(MASKED_PATH) {
        let message = format!("the address of the webhook at `{}` is masked, so it reaches nobody", webhook.place);
        cx.warn(Problem::at(node.span, message).hint("`config` masks it; name the variable that it comes from"));
    }
    Some(webhook)
}

/// Messages do not show the value, which may contain a token.
fn url(field: &Entry) -> Read<(Secret, String)> {
    let wrong = || {
        Problem::at(field.value.span, "`url` must be an `http://` or `https://` URL")
            .hint("its value is not shown, because it may hold a token; check the variable it comes from")
    };
    let written = raw("url", &field.value).map_err(|_| wrong())?;
    let parsed = reqwest::Url::parse(written.trim()).map_err(|_| wrong())?;
    let host = parsed.host_str().filter(|host| !host.is_empty() && matches!(parsed.scheme(), "http" | "https"));
    let host = host.ok_or_else(wrong)?;
    let place = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Ok((Secret::new(parsed.to_string()), place))
}

/// Whether success and failure are notified.
fn on(field: &Entry) -> Read<(bool, bool)> {
    let items = match &field.value.value {
        Value::Scalar(_) => std::slice::from_ref(&field.value),
        _ => collections::list(field)?,
    };
    if items.is_empty() {
        return Err(Problem::at(field.key_span, "`on` is empty, so it would never be called")
            .hint("name `success` or `failure`"));
    }
    let mut told = (false, false);
    for item in items {
        if choice("on", item, &[("success", true), ("failure", false)])? {
            told.0 = true;
        } else {
            told.1 = true;
        }
    }
    Ok(told)
}

fn headers(field: &Entry) -> Read<IndexMap<String, Secret>> {
    let mut headers = IndexMap::new();
    for header in &collections::map(field)?.entries {
        let name = header.key.as_str();
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            let problem = Problem::at(header.key_span, format!("`{}` is not a header's name", clip(name)));
            return Err(problem.hint("use letters, digits and `-`, such as `X-Token`"));
        }
        let value = text("headers", &header.value)
            .ok()
            .filter(|value| value.chars().all(|c| c == '\t' || (' '..='~').contains(&c)))
            .ok_or_else(|| {
                Problem::at(header.value.span, format!("header `{name}` needs a value of printable characters"))
            })?;
        headers.insert(name.to_owned(), Secret::new(value));
    }
    Ok(headers)
}
