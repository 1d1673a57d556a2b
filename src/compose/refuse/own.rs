//! Keys of the `x-deploy-apps` blocks, of the file and of a service.

use super::section::Section;

pub(in crate::compose) const PROJECT_BLOCK: Section =
    Section { name: "x-deploy-apps", known: &["notify", "proxy"], warned: &[], refused: &[] };

pub(in crate::compose) const NOTIFY: Section =
    Section { name: "notify", known: &["format", "headers", "on", "timeout", "url"], warned: &[], refused: &[] };

pub(in crate::compose) const PROXY: Section = Section {
    name: "proxy",
    known: &[
        "access_log",
        "acme",
        "base_image",
        "bind",
        "connections_per_client",
        "http_port",
        "https_port",
        "logging",
        "memory",
        "name",
        "proxy_protocol",
        "subnet",
        "trusted_proxies",
        "upgrade",
    ],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const ACME: Section =
    Section { name: "acme", known: &["ca", "dns", "email", "server"], warned: &[], refused: &[] };

pub(in crate::compose) const ACME_DNS: Section = Section {
    name: "dns",
    known: &["environment", "propagation_check", "provider", "resolvers", "secrets"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const APP: Section = Section {
    name: "x-deploy-apps",
    known: &[
        "access",
        "backup",
        "balance",
        "basic_auth",
        "canary",
        "drain",
        "error_pages",
        "health",
        "max_body_size",
        "metrics",
        "port",
        "rate_limit",
        "redirects",
        "release",
        "replaces",
        "response_headers",
        "routes",
        "timeouts",
        "version",
    ],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const ROUTE: Section =
    Section { name: "routes", known: &["host", "path", "strip", "tls"], warned: &[], refused: &[] };

pub(in crate::compose) const TLS: Section =
    Section { name: "tls", known: &["certificate", "hsts", "key", "redirect"], warned: &[], refused: &[] };

pub(in crate::compose) const REDIRECT: Section =
    Section { name: "redirects", known: &["host", "path", "status", "to"], warned: &[], refused: &[] };

pub(in crate::compose) const RESPONSE_HEADERS: Section =
    Section { name: "response_headers", known: &["remove", "set"], warned: &[], refused: &[] };

pub(in crate::compose) const ACCESS: Section =
    Section { name: "access", known: &["allow", "deny"], warned: &[], refused: &[] };

pub(in crate::compose) const BASIC_AUTH: Section =
    Section { name: "basic_auth", known: &["forward", "realm", "users"], warned: &[], refused: &[] };

pub(in crate::compose) const RATE_LIMIT: Section =
    Section { name: "rate_limit", known: &["burst", "per", "requests"], warned: &[], refused: &[] };

pub(in crate::compose) const TIMEOUTS: Section =
    Section { name: "timeouts", known: &["read", "send"], warned: &[], refused: &[] };

pub(in crate::compose) const HEALTH: Section = Section {
    name: "health",
    known: &["interval", "path", "probe_timeout", "successes", "timeout"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const DRAIN: Section = Section {
    name: "drain",
    known: &["stop_first_timeout", "timeout", "websocket_timeout"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const RELEASE: Section =
    Section { name: "release", known: &["command", "timeout"], warned: &[], refused: &[] };

pub(in crate::compose) const CANARY: Section =
    Section { name: "canary", known: &["gate", "match", "steps", "sticky"], warned: &[], refused: &[] };

pub(in crate::compose) const CANARY_STEP: Section =
    Section { name: "steps", known: &["for", "weight"], warned: &[], refused: &[] };

pub(in crate::compose) const CANARY_GATE: Section = Section {
    name: "gate",
    known: &["max_error_increase", "max_latency_ratio", "max_wait", "min_requests", "on_silence"],
    warned: &[],
    refused: &[],
};

pub(in crate::compose) const CANARY_MATCH: Section =
    Section { name: "match", known: &["cookie", "header"], warned: &[], refused: &[] };

pub(in crate::compose) const BACKUP: Section =
    Section { name: "backup", known: &["command", "timeout", "user"], warned: &[], refused: &[] };
