//! The published schema of `x-deploy-apps` agrees with the loader.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Case, refuse};
use crate::compose::text::scalar::parse_duration;
use crate::model::{DrainPolicy, HealthPolicy, ReleaseCommand, Webhook};

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schema/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).expect("the schema")).expect("JSON")
}

#[test]
fn the_schema_has_the_keys_that_the_loader_reads() {
    let schema = schema("x-deploy-apps");
    let sections = [
        ("project", refuse::PROJECT_BLOCK),
        ("proxy", refuse::PROXY),
        ("webhook", refuse::NOTIFY),
        ("service", refuse::APP),
        ("route", refuse::ROUTE),
        ("acme", refuse::ACME),
        ("acme_dns", refuse::ACME_DNS),
        ("tls", refuse::TLS),
        ("redirect", refuse::REDIRECT),
        ("response_headers", refuse::RESPONSE_HEADERS),
        ("access", refuse::ACCESS),
        ("timeouts", refuse::TIMEOUTS),
        ("rate_limit", refuse::RATE_LIMIT),
        ("basic_auth", refuse::BASIC_AUTH),
        ("health", refuse::HEALTH),
        ("drain", refuse::DRAIN),
        ("canary", refuse::CANARY),
        ("canary_step", refuse::CANARY_STEP),
        ("canary_gate", refuse::CANARY_GATE),
        ("canary_match", refuse::CANARY_MATCH),
        ("release", refuse::RELEASE),
        ("backup", refuse::BACKUP),
    ];
    for (name, section) in &sections {
        let properties = schema["$defs"][name]["properties"].as_object().expect("properties");
        let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mut known = section.known.to_vec();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known, "`{name}`: the schema on the left, the loader on the right");
        for (key, property) in properties {
            let told = property["description"].is_string() || property["$ref"].is_string();
            assert!(told, "`{key}` of `{name}` has no description");
        }
    }
    let others = ["variable", "duration"];
    let defs = schema["$defs"].as_object().expect("definitions");
    assert_eq!(defs.len(), sections.len() + others.len(), "a definition that no section stands for");
}

#[test]
fn the_schema_has_the_defaults_of_the_model() {
    let schema = schema("x-deploy-apps");
    let default = |section: &str, key: &str| schema["$defs"][section]["properties"][key]["default"].clone();
    let time =
        |section: &str, key: &str| parse_duration(default(section, key).as_str().expect("a time")).expect("a time");
    let (health, drain) = (HealthPolicy::default(), DrainPolicy::default());
    assert_eq!(default("health", "path"), json!(health.path));
    assert_eq!(default("health", "successes"), json!(health.successes));
    let times: [(&str, &str, Duration); 9] = [
        ("health", "interval", health.interval),
        ("health", "timeout", health.timeout),
        ("health", "probe_timeout", health.probe_timeout),
        ("drain", "timeout", drain.timeout),
        ("drain", "websocket_timeout", drain.websocket_timeout),
        ("drain", "stop_first_timeout", drain.stop_first_timeout),
        ("release", "timeout", ReleaseCommand::DEFAULT_TIMEOUT),
        ("backup", "timeout", crate::compose::read::backup::DEFAULT_TIMEOUT),
        ("webhook", "timeout", Webhook::DEFAULT_TIMEOUT),
    ];
    for (section, key, expected) in times {
        assert_eq!(time(section, key), expected, "{section}.{key}");
    }
    let proxy = Case::block("      port: 80\n").project().proxy;
    assert_eq!(default("proxy", "http_port"), json!(proxy.http_port));
    assert_eq!(default("proxy", "name"), json!(proxy.name));
    assert_eq!(default("proxy", "base_image"), json!(proxy.base_image));
}

#[test]
fn the_schema_for_editors_holds_the_same_blocks() {
    let (own, compose) = (schema("x-deploy-apps"), schema("compose"));
    assert_eq!(own["$defs"], compose["$defs"], "copy `$defs` of x-deploy-apps.json into compose.json");
    let without_spec = {
        let mut schema = compose;
        // The specification's schema is on the internet, and tests make no requests.
        schema.as_object_mut().expect("an object").remove("allOf");
        schema
    };
    let validator = jsonschema::validator_for(&without_spec).expect("a valid schema");
    let file =
        |port: Value| json!({ "services": { "web": { "image": "a", "x-deploy-apps": { "port": port } }, "db": null } });
    assert!(validator.is_valid(&file(json!(80))) && validator.is_valid(&file(json!("${PORT:-80}"))));
    assert!(!validator.is_valid(&file(json!([80]))));
    assert!(!validator.is_valid(&json!({ "x-deploy-apps": { "prxy": {} } })));
}

/// JSON is valid YAML, so one text serves both.
fn agree(section: &str, block: &Value, compose: &str) {
    let schema = schema("x-deploy-apps");
    let own = json!({ "$ref": format!("#/$defs/{section}"), "$defs": schema["$defs"] });
    let by_schema = jsonschema::validator_for(&own).expect("a valid schema").is_valid(block);
    let loaded = crate::compose::load(&Case::new(compose).request());
    let by_loader = loaded.is_ok();
    let said = loaded.err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(by_schema, by_loader, "the schema on the left, the loader on the right: {block}\n{said}");
}

#[test]
fn schema_and_loader_agree_on_services() {
    let blocks = [
        json!({}),
        json!({ "port": 8080 }),
        json!({ "port": "8080" }),
        json!({ "port": 0 }),
        json!({ "port": 65536 }),
        json!({ "port": "http" }),
        json!({ "port": [80] }),
        json!({ "prt": 80 }),
        json!({ "x-mine": { "any": 1 }, "port": 80 }),
        json!({ "port": 80, "routes": [] }),
        json!({ "port": 80, "routes": null }),
        json!({ "port": 80, "routes": [{}] }),
        json!({ "port": 80, "routes": [{ "host": "a.example.com" }, { "path": "/x", "strip": true }] }),
        json!({ "port": 80, "routes": [{ "host": "*.example.com", "path": "/" }] }),
        json!({ "port": 80, "routes": [{ "host": "http://a" }] }),
        json!({ "port": 80, "routes": [{ "host": "-a" }] }),
        json!({ "port": 80, "routes": [{ "path": "x" }] }),
        json!({ "port": 80, "routes": [{ "path": "/x?y" }] }),
        json!({ "port": 80, "routes": [{ "path": "/x", "strip": "maybe" }] }),
        json!({ "port": 80, "routes": [{ "path": "/x", "hots": "a" }] }),
        json!({ "port": 80, "routes": { "path": "/x" } }),
        json!({ "port": 80, "response_headers": null, "access": null, "max_body_size": null, "timeouts": null }),
        json!({ "port": 80, "response_headers": { "set": { "X-A": "b", "X-N": 1 }, "remove": ["Server"] } }),
        json!({ "port": 80, "response_headers": { "set": { "X_A": "b" } } }),
        json!({ "port": 80, "response_headers": { "add": { "X-A": "b" } } }),
        json!({ "port": 80, "access": { "allow": ["10.0.0.0/8", "::1"], "deny": "10.1.0.0/16" } }),
        json!({ "port": 80, "access": { "allow": [] } }),
        json!({ "port": 80, "access": ["10.0.0.0/8"] }),
        json!({ "port": 80, "max_body_size": "10m" }),
        json!({ "port": 80, "max_body_size": 1024 }),
        json!({ "port": 80, "max_body_size": 0 }),
        json!({ "port": 80, "max_body_size": "much" }),
        json!({ "port": 80, "timeouts": { "read": "30s", "send": "1m" } }),
        json!({ "port": 80, "timeouts": { "read": "soon" } }),
        json!({ "port": 80, "rate_limit": { "requests": 100, "per": "1m", "burst": "20" } }),
        json!({ "port": 80, "rate_limit": { "requests": 0 } }),
        json!({ "port": 80, "rate_limit": { "per": "1m" } }),
        json!({ "port": 80, "error_pages": { "404": "./a.html" } }),
        json!({ "port": 80, "basic_auth": { "realm": "Staging" } }),
        json!({ "port": 80, "basic_auth": { "users": 1.5, "forward": "maybe" } }),
        json!({ "port": 80, "redirects": null }),
        json!({ "port": 80, "redirects": [] }),
        json!({ "port": 80, "redirects": [{ "host": "*.a.test", "to": "a.test", "status": 301 }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "/y/%7Ez" }, { "path": "/z", "to": "/" }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "https://a.test:8443/y", "status": "308" }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "a.test/y" }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "https://a.test//y" }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "/y?z" }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "//y" }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "ftp://y" }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "/y", "status": 200 }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x" }] }),
        json!({ "port": 80, "redirects": [{ "to": "/x" }] }),
        json!({ "port": 80, "redirects": [{ "path": "/x", "to": "/y", "from": "z" }] }),
        json!({ "port": 80, "redirects": { "path": "/x", "to": "/y" } }),
        json!({ "port": 80, "health": { "path": "/healthz", "successes": 3, "interval": "1.5s", "timeout": "1m30s" } }),
        json!({ "port": 80, "health": null }),
        json!({ "port": 80, "health": { "path": "healthz" } }),
        json!({ "port": 80, "health": { "successes": 0 } }),
        json!({ "port": 80, "health": { "successes": 101 } }),
        json!({ "port": 80, "health": { "timeout": "30" } }),
        json!({ "port": 80, "health": { "timeout": "30 s" } }),
        json!({ "port": 80, "health": "yes" }),
        json!({ "port": 80, "drain": { "timeout": 0, "websocket_timeout": "2d" } }),
        json!({ "port": 80, "drain": { "timeout": 5 } }),
        json!({ "port": 80, "drain": { "time": "5s" } }),
        json!({ "port": 80, "balance": "round-robin" }),
        json!({ "port": 80, "balance": "random" }),
        json!({ "release": ["./migrate", 1] }),
        json!({ "release": "./migrate all" }),
        json!({ "release": [] }),
        json!({ "release": { "command": ["a"], "timeout": "1h" } }),
        json!({ "release": { "timeout": "1h" } }),
        json!({ "backup": ["./save"] }),
        json!({ "backup": "./save all" }),
        json!({ "backup": { "command": ["./save"], "timeout": "1h", "user": 70 }, "x-mine": 1 }),
        json!({ "backup": { "timeout": "1h" } }),
        json!({ "backup": { "command": ["./save"], "when": "always" } }),
        json!({ "backup": [] }),
        json!({ "backup": ["./save"], "port": 80 }),
        json!({ "backup": null, "port": 80 }),
        json!({ "version": "1.4.0" }),
        json!({ "version": 1.4 }),
        json!({ "version": {} }),
        json!("app"),
        json!([8080]),
    ];
    for block in &blocks {
        agree("service", block, &format!("services: {{ web: {{ image: \"a:1\", x-deploy-apps: {block} }} }}\n"));
    }
}

#[test]
fn schema_and_loader_agree_on_projects() {
    let hook = |more: Value| {
        let mut hook = json!({ "url": "https://hooks.example.com/x" });
        hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "notify": [hook] })
    };
    let blocks = [
        json!({}),
        json!({ "proxy": null }),
        json!({ "proxy": { "http_port": 80, "name": "other-1", "bind": "127.0.0.1", "subnet": "10.213.0.0/20" } }),
        json!({ "proxy": { "http_port": 0 } }),
        json!({ "proxy": { "name": "a_b" } }),
        json!({ "proxy": { "bind": "localhost" } }),
        json!({ "proxy": { "subnet": "10.213.0.0/24" } }),
        json!({ "proxy": { "base_image": "" } }),
        json!({ "proxy": { "port": 80 } }),
        json!({ "proxy": { "trusted_proxies": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7", "host", "private"] } }),
        json!({ "proxy": { "trusted_proxies": "10.0.0.0/8, host" } }),
        json!({ "proxy": { "trusted_proxies": "" } }),
        json!({ "proxy": { "trusted_proxies": null } }),
        json!({ "proxy": { "trusted_proxies": ["cloudflare"] } }),
        json!({ "proxy": { "trusted_proxies": [["10.0.0.0/8"]] } }),
        json!({ "proxy": { "trusted_proxies": { "a": "10.0.0.0/8" } } }),
        json!({ "proxy": { "trusted_proxies": ["10.0.0.0/8"], "proxy_protocol": true } }),
        json!({ "proxy": { "trusted_proxies": ["10.0.0.0/8"], "proxy_protocol": "v2" } }),
        json!({ "proxy": { "logging": { "driver": "journald" } } }),
        json!({ "proxy": { "logging": { "options": { "max-size": "50m", "max-file": 3 } } } }),
        json!({ "proxy": { "logging": null } }),
        json!({ "proxy": { "logging": "journald" } }),
        json!({ "proxy": { "logging": { "drivr": "journald" } } }),
        json!({ "proxy": { "logging": { "options": ["max-size=50m"] } } }),
        json!({ "proxy": { "memory": "512m", "access_log": "stdout" } }),
        json!({ "proxy": { "memory": 1073741824, "access_log": "off" } }),
        json!({ "proxy": { "memory": null, "access_log": null } }),
        json!({ "proxy": { "memory": 1000 } }),
        json!({ "proxy": { "memory": "much" } }),
        json!({ "proxy": { "access_log": "tape" } }),
        json!({ "proxy": { "connections_per_client": 500 } }),
        json!({ "proxy": { "connections_per_client": "500" } }),
        json!({ "proxy": { "connections_per_client": null } }),
        json!({ "proxy": { "connections_per_client": 0 } }),
        json!({ "proxy": { "connections_per_client": -1 } }),
        json!({ "proxy": { "connections_per_client": 2.5 } }),
        json!({ "proxy": { "connections_per_client": "many" } }),
        json!({ "proxy": { "connections_per_client": 1000001 } }),
        json!({ "proxy": 80 }),
        json!({ "notify": [] }),
        json!({ "notify": null }),
        json!({ "notify": {} }),
        json!({ "notify": [{}] }),
        json!({ "notify": ["https://a"] }),
        json!({ "notify": [{ "url": "ftp://a/b" }] }),
        json!({ "notify": [{ "url": "hooks.example.com" }] }),
        hook(json!({})),
        hook(json!({ "on": "failure" })),
        hook(json!({ "on": ["success", "failure"] })),
        hook(json!({ "on": [] })),
        hook(json!({ "on": "always" })),
        hook(json!({ "format": "slack" })),
        hook(json!({ "format": "xml" })),
        hook(json!({ "headers": { "X-Token": "a", "X-Number": 1 } })),
        hook(json!({ "headers": { "a b": "c" } })),
        hook(json!({ "headers": ["a"] })),
        hook(json!({ "timeout": "2s" })),
        hook(json!({ "timeout": "soon" })),
        hook(json!({ "uri": "x" })),
    ];
    for block in &blocks {
        let services = "services: { web: { image: \"a:1\", x-deploy-apps: { port: 80 } } }";
        agree("project", block, &format!("{services}\nx-deploy-apps: {block}\n"));
    }
}
