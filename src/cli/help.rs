//! What `--help`, the man pages and the README say of the world around a command.

/// The environment variables, and what each does.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("DOCKER_HOST", "the engine, such as `unix:///var/run/docker.sock`, `tcp://host:2376` or `ssh://user@host`"),
    ("DOCKER_CONTEXT, DOCKER_CONFIG", "Docker's context, and the folder of Docker's own settings"),
    ("DOCKER_TLS_VERIFY, DOCKER_CERT_PATH", "TLS to a `tcp://` engine, and the folder of its certificates"),
    ("COMPOSE_FILE", "the compose files, when no `-f` names them"),
    ("COMPOSE_PROJECT_NAME", "the project's name, when no `-p` gives it"),
    ("COMPOSE_PROFILES", "the profiles that take part, when no `--profile` names them"),
    ("NO_COLOR", "no colours and no live lines, when it is not empty"),
    ("CI", "plain lines instead of live ones, when it is not empty"),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "exports each run as a trace to this OTLP collector, such as `http://localhost:4318`",
    ),
    ("OTEL_EXPORTER_OTLP_HEADERS", "headers for the collector, such as `authorization=Bearer …`"),
    ("OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES", "how the trace names its source; else `deploy-apps`"),
    ("OTEL_SDK_DISABLED", "exports nothing, when it is `true`"),
    ("TRACEPARENT, TRACESTATE", "the pipeline's own trace, of which the run becomes a part"),
    ("DEPLOY_APPS_COMPLETE", "set by the script of `deploy-apps completions` when a shell asks"),
];

/// Files and volumes that are read or written.
pub const FILES: &[(&str, &str)] = &[
    (
        "compose.yaml, compose.yml, docker-compose.yml",
        "the project, here or in a folder above; `compose.override.yaml` beside it is merged in",
    ),
    (".env", "variables for the compose file, beside it"),
    ("VERSION", "in an app's build folder: the version's text"),
    ("~/.docker/config.json", "logins for registries"),
];

/// As an aligned list below a title; long names stand on a line of their own.
pub fn list(title: &str, entries: &[(&str, &str)]) -> String {
    const NAME: usize = 28;
    let mut text = format!("{title}:");
    for (name, what) in entries {
        let what = what.replace('`', "");
        let gap = if name.len() > NAME { format!("\n  {:NAME$}", "") } else { " ".repeat(NAME - name.len()) };
        text.push_str(&format!("\n  {name}{gap}  {what}"));
    }
    text
}
