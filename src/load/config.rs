//! What is sent, by how many clients, and when it ends.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

/// Largest body of a POST, whose echo is compared in memory. Use [`Traffic::Upload`] for larger ones.
pub(super) const LARGEST_BODY: usize = 1 << 20;
/// Smallest body that has room for the client and sequence number.
pub(super) const SMALLEST_BODY: usize = 48;

/// One load run against one app. Both limits always apply, so every run ends.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    pub target: SocketAddr,
    /// Sent as the `Host` header.
    pub host: String,
    pub groups: Vec<Group>,
    /// No request starts after this time.
    pub duration: Duration,
    /// No request starts after this many requests of all kinds.
    pub requests: u64,
    /// Timeout of a short request, including connecting.
    pub timeout: Duration,
    /// Timeout of a sleeper or an upload, and of a stream without data.
    pub long_timeout: Duration,
    /// A client leaves its stream or WebSocket after this time and reconnects; `None` stays until the server ends it.
    pub stream_for: Option<Duration>,
    /// Response header that names the release.
    pub release_header: String,
}

/// A number of identical clients.
#[derive(Debug, Clone)]
pub struct Group {
    pub clients: usize,
    /// Pause between an answer and the client's next request.
    pub gap: Duration,
    pub traffic: Traffic,
}

impl Group {
    /// Delay from the load's start to the first request of client `member`, counted from 0. Clients that start at the
    /// same time would stay synchronized and queue behind each other, which real users do not.
    pub(super) fn first_after(&self, member: usize) -> Duration {
        let round = match self.traffic {
            Traffic::PooledPost { idle_up_to, .. } => idle_up_to,
            _ => self.gap,
        };
        round.mul_f64(member as f64 / self.clients as f64)
    }
}

/// What one client sends.
#[derive(Debug, Clone)]
pub enum Traffic {
    Get {
        path: String,
    },
    /// The body carries the client's and the request's number, so an echo of another request is detected.
    Post {
        path: String,
        body_bytes: usize,
        expect: Expect,
    },
    /// A POST on a connection that was idle for a random time up to `idle_up_to`: the case most likely to fail in a
    /// flip.
    PooledPost {
        path: String,
        body_bytes: usize,
        expect: Expect,
        idle_up_to: Duration,
    },
    /// A slow GET. The next one starts when the previous one has ended.
    Sleeper {
        path: String,
    },
    /// A chunked POST whose body is sent over the given time.
    Upload {
        path: String,
        bytes: usize,
        over: Duration,
    },
    /// Server-sent events, read until the server ends the stream.
    Sse {
        path: String,
    },
    /// An echo round trip at each interval `every`.
    WebSocket {
        path: String,
        every: Duration,
    },
}

/// What the answer's body must contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any body, with status 2xx.
    Success,
    /// The request's own body.
    Echo,
    /// The number of bytes sent, as plain digits or as `{"bytes":N}`.
    ByteCount,
}

/// The client kinds, named as in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Get,
    Post,
    Pooled,
    Sleeper,
    Upload,
    Sse,
    WebSocket,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Post, Self::Pooled, Self::Sleeper, Self::Upload, Self::Sse, Self::WebSocket];

    /// Whether its requests are short. Only these count for latencies and the longest gap.
    #[must_use]
    pub fn is_short(self) -> bool {
        matches!(self, Self::Get | Self::Post | Self::Pooled)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Pooled => "pooled",
            Self::Sleeper => "sleeper",
            Self::Upload => "upload",
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
        })
    }
}

impl Traffic {
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::Get { path: path.to_owned() }
    }

    #[must_use]
    pub fn post(path: &str, expect: Expect) -> Self {
        Self::Post { path: path.to_owned(), body_bytes: 64, expect }
    }

    #[must_use]
    pub fn pooled_post(path: &str, expect: Expect, idle_up_to: Duration) -> Self {
        Self::PooledPost { path: path.to_owned(), body_bytes: 64, expect, idle_up_to }
    }

    #[must_use]
    pub fn sleeper(path: &str) -> Self {
        Self::Sleeper { path: path.to_owned() }
    }

    #[must_use]
    pub fn upload(path: &str, bytes: usize, over: Duration) -> Self {
        Self::Upload { path: path.to_owned(), bytes, over }
    }

    #[must_use]
    pub fn sse(path: &str) -> Self {
        Self::Sse { path: path.to_owned() }
    }

    #[must_use]
    pub fn websocket(path: &str) -> Self {
        Self::WebSocket { path: path.to_owned(), every: Duration::from_millis(200) }
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Get { .. } => Kind::Get,
            Self::Post { .. } => Kind::Post,
            Self::PooledPost { .. } => Kind::Pooled,
            Self::Sleeper { .. } => Kind::Sleeper,
            Self::Upload { .. } => Kind::Upload,
            Self::Sse { .. } => Kind::Sse,
            Self::WebSocket { .. } => Kind::WebSocket,
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Get { path }
            | Self::Post { path, .. }
            | Self::PooledPost { path, .. }
            | Self::Sleeper { path }
            | Self::Upload { path, .. }
            | Self::Sse { path }
            | Self::WebSocket { path, .. } => path,
        }
    }
}

/// A load configuration that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadRefused {
    #[error("load has no clients\nhint: name at least one kind with `--clients 1` or more")]
    NoClients,
    #[error("load has no bound: duration {duration:?}, {requests} requests\nhint: give both more than 0")]
    Unbounded { duration: Duration, requests: u64 },
    #[error("path `{path}` is not valid in a request line\nhint: begin it with `/` and percent-encode blanks")]
    Path { path: String },
    #[error("host `{host}` is not valid in a header")]
    Host { host: String },
    #[error("body of {bytes} bytes is not between {SMALLEST_BODY} and {LARGEST_BODY} bytes")]
    Body { bytes: usize },
}

impl LoadConfig {
    #[must_use]
    pub fn new(target: SocketAddr, host: &str) -> Self {
        Self {
            target,
            host: host.to_owned(),
            groups: Vec::new(),
            duration: Duration::from_secs(60),
            requests: 1_000_000,
            // Far above any normal answer: a request this slow counts as lost.
            timeout: Duration::from_secs(10),
            long_timeout: Duration::from_secs(120),
            stream_for: None,
            release_header: "x-release".to_owned(),
        }
    }

    /// Adds clients that send without a pause.
    #[must_use]
    pub fn send(self, clients: usize, traffic: Traffic) -> Self {
        self.send_every(clients, Duration::ZERO, traffic)
    }

    /// Adds clients that pause between an answer and their next request.
    #[must_use]
    pub fn send_every(mut self, clients: usize, gap: Duration, traffic: Traffic) -> Self {
        self.groups.push(Group { clients, gap, traffic });
        self
    }

    /// Makes clients of streams and WebSockets leave after `time`, as users do.
    #[must_use]
    pub fn keep_streams_for(mut self, time: Duration) -> Self {
        self.stream_for = Some(time);
        self
    }

    #[must_use]
    pub fn bounded(mut self, duration: Duration, requests: u64) -> Self {
        self.duration = duration;
        self.requests = requests;
        self
    }

    /// # Errors
    /// When a request cannot be sent as configured, or the run would never end.
    pub(super) fn check(&self) -> Result<(), LoadRefused> {
        if self.groups.iter().all(|group| group.clients == 0) {
            return Err(LoadRefused::NoClients);
        }
        if self.duration.is_zero() || self.requests == 0 {
            return Err(LoadRefused::Unbounded { duration: self.duration, requests: self.requests });
        }
        if self.host.is_empty() || !self.host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(LoadRefused::Host { host: self.host.clone() });
        }
        for Group { traffic, .. } in &self.groups {
            let path = traffic.path();
            if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(LoadRefused::Path { path: path.to_owned() });
            }
            if let Traffic::Post { body_bytes, .. } | Traffic::PooledPost { body_bytes, .. } = traffic
                && !(SMALLEST_BODY..=LARGEST_BODY).contains(body_bytes)
            {
                return Err(LoadRefused::Body { bytes: *body_bytes });
            }
        }
        Ok(())
    }
}
