//! Negotiates the API version, and adds to bollard's requests what they lack.

use std::fmt;
use std::str::FromStr;

use bollard::{BollardRequest, ClientVersion, Docker};
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;

use super::DockerEngine;
use crate::ports::{EngineError, EngineErrorKind};

/// Engine 20.10: the first with BuildKit mounts, and the API for which all calls here are written.
const OLDEST: ApiVersion = ApiVersion { major: 1, minor: 41 };
/// Newest supported version. A newer engine is used with this version, whose responses are known.
pub(super) const NEWEST: ApiVersion = ApiVersion { major: 1, minor: 51 };

/// A version of the Engine API, such as `1.45`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    /// First version with annotations.
    pub(super) const ANNOTATIONS: Self = Self { major: 1, minor: 43 };
    /// First version with a separate check interval during start.
    pub(super) const START_INTERVAL: Self = Self { major: 1, minor: 44 };
    /// First version that can exclude mounts below a bind mount from `read_only`.
    pub(super) const RECURSIVE_BINDS: Self = Self { major: 1, minor: 44 };
    /// First version with a MAC address per network.
    pub(super) const MAC_PER_NETWORK: Self = Self { major: 1, minor: 44 };
    /// First version that can mount a subpath of a volume.
    pub(super) const SUBPATH: Self = Self { major: 1, minor: 45 };
    /// First version that can mount images and set the network of the default route.
    pub(super) const IMAGE_MOUNTS: Self = Self { major: 1, minor: 48 };
    pub(super) const GW_PRIORITY: Self = Self { major: 1, minor: 48 };
    /// First version that accepts several networks when a container is created.
    pub(super) const SEVERAL_NETWORKS: Self = Self { major: 1, minor: 44 };
    /// First version whose `stop` accepts a signal.
    pub(super) const STOP_SIGNAL: Self = Self { major: 1, minor: 42 };
}

impl From<ApiVersion> for ClientVersion {
    fn from(version: ApiVersion) -> Self {
        Self { major_version: version.major as usize, minor_version: version.minor as usize }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self { major: major.parse().map_err(drop)?, minor: minor.parse().map_err(drop)? })
    }
}

/// The highest version that both sides support.
pub(super) fn negotiate(engine: &str, newest: Option<&str>, oldest: Option<&str>) -> Result<ApiVersion, EngineError> {
    let parse = |text: Option<&str>| text.and_then(|text| text.parse::<ApiVersion>().ok());
    let server = parse(newest).ok_or_else(|| {
        EngineError::new(EngineErrorKind::Other, format!("the engine {engine} does not say which API it speaks"))
    })?;
    if server < OLDEST {
        return Err(EngineError::new(
            EngineErrorKind::TooOld,
            format!("the engine is version {engine} with API {server}; version 20.10 with API {OLDEST} is the oldest that works"),
        )
        .hint("upgrade Docker Engine on that host"));
    }
    let api = server.min(NEWEST);
    match parse(oldest) {
        Some(floor) if floor > api => Err(EngineError::new(
            EngineErrorKind::Other,
            format!("the engine {engine} speaks API {floor} and later, this deploy-apps speaks {OLDEST} to {NEWEST}"),
        )
        .hint("upgrade deploy-apps")),
        _ => Ok(api),
    }
}

/// Corrects two mistakes in every request of bollard 0.21.1.
///
/// It sends no API version, so the engine uses its own default. And it encodes credentials in standard base64, but the
/// engine expects the URL-safe alphabet, so that some passwords are lost.
pub(super) fn versioned(mut request: BollardRequest, api: ApiVersion) -> BollardRequest {
    let mut parts = request.uri().clone().into_parts();
    let path = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    parts.path_and_query = format!("/v{api}{path}").parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    for name in ["x-registry-auth", "x-registry-config"].map(HeaderName::from_static) {
        let text = request.headers().get(&name).and_then(|value| value.to_str().ok());
        let safe = text.and_then(|text| HeaderValue::from_str(&text.replace('+', "-").replace('/', "_")).ok());
        if let Some(value) = safe {
            request.headers_mut().insert(name, value);
        }
    }
    request
}

/// A client whose requests all use this path and query, for responses that bollard has no call for.
pub(super) fn redirected(engine: &DockerEngine, target: &'static str) -> Docker {
    let api = engine.api;
    engine.client.clone().with_request_modifier(move |mut request: BollardRequest| {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static(target));
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        versioned(request, api)
    })
}

/// A client that adds `addition` to the query of builds: bollard's options only have one extra host.
pub(super) fn with_query(engine: &DockerEngine, addition: String) -> Docker {
    let api = engine.api;
    engine.client.clone().with_request_modifier(move |mut request: BollardRequest| {
        if !addition.is_empty() && request.uri().path() == "/build" {
            let joined = format!("{}&{addition}", request.uri());
            if let Ok(uri) = joined.parse() {
                *request.uri_mut() = uri;
            }
        }
        versioned(request, api)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_used() {
        assert_eq!(negotiate("20.10.24", Some("1.41"), Some("1.12")).unwrap(), OLDEST);
        assert_eq!(negotiate("26.1.5", Some("1.45"), Some("1.24")).unwrap().to_string(), "1.45");
        assert_eq!(negotiate("29.0.0", Some("1.99"), Some("1.44")).unwrap(), NEWEST);
        assert_eq!(negotiate("19.03.1", Some("1.40"), None).unwrap_err().kind, EngineErrorKind::TooOld);
        assert_eq!(negotiate("99.0.0", Some("1.99"), Some("1.98")).unwrap_err().kind, EngineErrorKind::Other);
    }

    #[test]
    fn requests_get_a_version_and_credentials_the_engine_can_read() {
        let mut request = BollardRequest::new(bollard::body_full(bytes::Bytes::new()));
        *request.uri_mut() = "unix://2f/images/create?fromImage=a".parse().unwrap();
        request.headers_mut().insert("x-registry-auth", HeaderValue::from_static("a+b/c="));
        let request = versioned(request, NEWEST);
        assert_eq!(request.uri().to_string(), "unix://2f/v1.51/images/create?fromImage=a");
        assert_eq!(request.headers()["x-registry-auth"], "a-b_c=");
    }
}
