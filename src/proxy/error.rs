//! From the proxy's answers to our types, and from its error codes to ours.

use std::time::Duration;

use hyper::StatusCode;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::client::CONTROL_API;
use super::wire::{ErrorAnswer, ErrorBody};
use crate::model::Route;
use crate::ports::ProxyError;

/// How much of an answer that makes no sense is shown.
const EXCERPT: usize = 120;

/// The answer's body as `T`, or the error that the proxy or the body tells of.
pub(super) fn understand<T: DeserializeOwned>(
    proxy: &str,
    call: &Call,
    status: StatusCode,
    body: &[u8],
) -> Result<T, ProxyError> {
    let malformed = |reason| ProxyError::Malformed { proxy: proxy.to_owned(), call: call.to_string(), reason };
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|error| malformed(error.to_string()));
    }
    match serde_json::from_slice::<ErrorAnswer>(body) {
        Ok(answer) => Err(refusal(proxy, call, answer.error)),
        // Such as an HTML page of nginx itself.
        Err(_) => Err(malformed(format!("status {} with `{}`", status.as_u16(), excerpt(body)))),
    }
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(EXCERPT).collect()
}

/// A code whose details are missing is still told, by its code and message.
fn refusal(proxy: &str, call: &Call, error: ErrorBody) -> ProxyError {
    let typed = match error.code.as_str() {
        "generation_moved" => generation_moved(&error),
        "route_conflict" => route_conflict(&error),
        "certificate_moved" => Some(ProxyError::CertificateMoved { host: error.detail("host").unwrap_or_default() }),
        "lease_lost" => lease_lost(&error),
        "lease_held" => lease_held(&error),
        "persist_failed" => Some(ProxyError::PersistFailed { message: error.message.clone() }),
        "unknown_call" => wrong_version(proxy, &error).or_else(|| Some(too_old(proxy, call))),
        _ => None,
    };
    typed.unwrap_or(ProxyError::Refused { code: error.code, message: error.message })
}

fn generation_moved(error: &ErrorBody) -> Option<ProxyError> {
    Some(ProxyError::GenerationMoved {
        app: error.detail("app")?,
        expected: error.detail("expected")?,
        found: error.detail("found")?,
    })
}

fn route_conflict(error: &ErrorBody) -> Option<ProxyError> {
    let route = Route { host: error.detail("host"), path: error.detail("path")?, strip: false, tls: None };
    Some(ProxyError::RouteConflict {
        app: error.detail("app")?,
        other: error.detail("other_app")?,
        route: route.to_string(),
    })
}

fn lease_lost(error: &ErrorBody) -> Option<ProxyError> {
    Some(ProxyError::LeaseLost { app: error.detail("app")? })
}

fn lease_held(error: &ErrorBody) -> Option<ProxyError> {
    Some(ProxyError::LeaseHeld {
        app: error.detail("app")?,
        owner: error.detail("owner")?,
        host: error.detail("host")?,
        purpose: error.detail("purpose")?,
        age: Duration::from_millis(error.detail("age_ms")?),
    })
}

/// Of our API, but from before this call was added to it.
fn too_old(proxy: &str, call: &Call) -> ProxyError {
    ProxyError::TooOld { proxy: proxy.to_owned(), call: call.to_string() }
}

/// A proxy that lost or never had a call of ours is one of another API, if it says so.
fn wrong_version(proxy: &str, error: &ErrorBody) -> Option<ProxyError> {
    let found = error.detail("api")?;
    (found != CONTROL_API).then(|| ProxyError::WrongVersion { proxy: proxy.to_owned(), found, wanted: CONTROL_API })
}
