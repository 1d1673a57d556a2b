//! The texts about environment and files in `--help`, the man pages and the README.

/// Examples of command lines, followed by the table of exit codes.
pub const EXAMPLES: &str = "\
Examples:
  deploy-apps go-app node-app             deploy what has changed; both apps beside each other
  deploy-apps go-app --force              redeploy although nothing has changed
  deploy-apps go-app node-app --atomic    flip both in one call, or neither
  deploy-apps scale go-app=4 node-app=1   more or fewer replicas of what serves
  deploy-apps rollback go-app             back to the release that served before
  deploy-apps restart go-app              the same release in new containers, without a lost request
  deploy-apps plan                        show what a deploy of every app would do; exit code 11 for changes
  deploy-apps drain-test go-app --deploys 3 --clients 64 --sleep-path '/sleep?for=25s'
                                          prove that redeploys lose no request
  deploy-apps status --watch              the state of everything, refreshed every second
  deploy-apps ls --routes                 every project on the engine, and who has which host; no file needed
  deploy-apps dashboard                   the same and more as a live page in the browser
  deploy-apps logs go-app -f              all replicas, and those that the next deploys bring
  deploy-apps exec go-app -- env          in a replica that serves
  deploy-apps run go-app ./migrate        in a container of its own, made as the replicas are

Each app of compose.yaml can be named: each service with an `x-deploy-apps` block. A deploy builds or pulls the new
version, starts it beside the old one, waits until the proxy sees it healthy, flips the proxy to it in
one acknowledged call, lets the old version finish its open requests, and only then stops it. Until the
flip any failure leaves the old version as it was. Other services are accessories, such as a database:
an app's deploy creates those that it needs, and one that is named itself is replaced if it has changed.

Exit codes:";

/// The environment variables and their effects.
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

/// An aligned list with a title; long names get a separate line.
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
