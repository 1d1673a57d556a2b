//! A service in the generated compose file.

use std::path::Path;

use serde_json::{Value, json};

/// By default one replica of `fault-app` without a fault, at `<name>.localhost`.
#[derive(Debug, Clone)]
pub struct App {
    pub(super) name: String,
    pub(super) service: Value,
}

impl App {
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/apps/fault-app");
        Self::built_from(name, &folder)
    }

    /// An app whose image is built from another folder; relative paths are those of the scenario.
    pub fn built_from(name: &str, folder: &Path) -> Self {
        let service = json!({
            "build": { "context": folder, "args": { "BASE_IMAGE": "${BASE_IMAGE:-debian:trixie-slim}" } },
            "stop_grace_period": "10s",
            "environment": {},
            "deploy": { "replicas": 1 },
            "x-deploy-apps": {
                "port": 8080,
                "health": { "path": "/healthz", "timeout": "60s" },
                "drain": { "timeout": "60s", "websocket_timeout": "60s" },
            },
        });
        Self { name: name.to_owned(), service }
    }

    pub fn replicas(self, count: u32) -> Self {
        self.set("/deploy/replicas", json!(count))
    }

    pub fn env(self, name: &str, value: &str) -> Self {
        self.set(&format!("/environment/{name}"), json!(value))
    }

    /// Enables one of the faults of `fault-app`.
    pub fn fault(self, fault: &str) -> Self {
        self.env("FAULT", fault)
    }

    pub fn drain(self, timeout: &str, websocket_timeout: &str) -> Self {
        self.set("/x-deploy-apps/drain", json!({ "timeout": timeout, "websocket_timeout": websocket_timeout }))
    }

    pub fn stop_first(self) -> Self {
        self.set("/deploy/update_config/order", json!("stop-first"))
    }

    /// Sets the value at `pointer`, such as `/x-deploy-apps/health/successes`; `null` removes it.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.service;
        let mut parts = pointer.trim_start_matches('/').split('/').peekable();
        while let Some(part) = parts.next() {
            if !place.is_object() {
                *place = json!({});
            }
            let map = place.as_object_mut().expect("an object since the line above");
            if parts.peek().is_none() && value.is_null() {
                map.shift_remove(part);
                return self;
            }
            place = map.entry(part).or_insert(Value::Null);
        }
        *place = value;
        self
    }
}
