//! The answer for each path.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::feed::Feed;
use super::guard;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The files of the page, all embedded in the binary.
const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/parts.js", "text/javascript; charset=utf-8", include_str!("page/parts.js")),
    ("/chart.js", "text/javascript; charset=utf-8", include_str!("page/chart.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];
/// For browsers without JavaScript; `{text}` is replaced by the figures.
const PLAIN: &str = include_str!("page/plain.html");

/// Answers one request. Every path is read-only.
pub(super) async fn answer<B>(request: &Request<B>, feed: &Arc<Feed>) -> Response<Body> {
    let mut response = if !guard::is_own(request.headers()) {
        let say = "this page is served to this machine only: open it as http://localhost, not by another name\n";
        text(StatusCode::FORBIDDEN, say)
    } else if request.method() != Method::GET {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "this page only shows; it takes GET alone\n");
        refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        refusal
    } else {
        page(request.uri().path(), feed).await
    };
    guard::secure(response.headers_mut());
    response
}

async fn page(path: &str, feed: &Arc<Feed>) -> Response<Body> {
    if let Some((_, kind, file)) = FILES.iter().find(|(known, ..)| *known == path) {
        return ok(kind, Full::from(*file).boxed_unsync());
    }
    match path {
        "/api/state" => match feed.now().await {
            Some(moment) => ok("application/json", whole(format!("{}\n", feed.whole(&moment)))),
            None => text(StatusCode::SERVICE_UNAVAILABLE, "the dashboard is ending\n"),
        },
        "/api/events" => ok("text/event-stream", events(feed)),
        "/plain" => match feed.now().await {
            Some(moment) => ok("text/html; charset=utf-8", whole(PLAIN.replace("{text}", &escape(&moment.text)))),
            None => text(StatusCode::SERVICE_UNAVAILABLE, "the dashboard is ending\n"),
        },
        _ => text(StatusCode::NOT_FOUND, "there is no such page; the dashboard is at /\n"),
    }
}

/// A stream of observations: the first with the whole chart, the following ones with its newest point only.
fn events(feed: &Arc<Feed>) -> Body {
    let moments = feed.subscribe();
    let feed = Arc::clone(feed);
    let stream = stream::unfold((moments, feed, true), |(mut moments, feed, is_first)| async move {
        if !is_first {
            moments.changed().await.ok()?;
        }
        // When this is the first open page, the feed has to observe first.
        let moment = moments.wait_for(Option::is_some).await.ok()?.clone()?;
        moments.mark_unchanged();
        let document = if is_first { feed.whole(&moment) } else { moment.news() };
        Some((Ok(Frame::data(event(&document))), (moments, feed, false)))
    });
    StreamBody::new(stream).boxed_unsync()
}

fn event(document: &Value) -> Bytes {
    // An event's data is a single line of JSON. After a lost connection the browser retries after 1 s.
    format!("retry: 1000\nevent: state\ndata: {document}\n\n").into()
}

fn ok(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn text(status: StatusCode, say: &'static str) -> Response<Body> {
    let mut response = ok("text/plain; charset=utf-8", Full::from(say).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn whole(text: String) -> Body {
    Full::from(text).boxed_unsync()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
