//! One service: its keys one by one, then what they mean together.

use super::app_block::{self, AppBlock};
use super::build;
use super::collect;
use super::context::Context;
use super::depends;
use super::deploy::{self, Deploy};
use super::error::{Problem, Read};
use super::healthcheck;
use super::mounts::{self, Mounts};
use super::networks;
use super::node::{Entry, Map, Node, Span, Value, clip};
use super::ports;
use super::refuse;
use super::resources::Resources;
use super::scalar::{choice, raw};
use super::variables;
use crate::model::{BuildSpec, ContainerSpec, Dependency, ImageSource, Label, Logging, PullPolicy, Restart, Ulimit};

/// All that was read of a service.
#[derive(Debug)]
pub(super) struct Draft {
    pub image: ImageSource,
    pub container: ContainerSpec,
    /// `None` when the file does not say; what is right then depends on who needs the service.
    pub restart: Option<Restart>,
    pub depends_on: Vec<(Dependency, Span)>,
    pub deploy: Deploy,
    /// `None` for an accessory.
    pub app: Option<AppBlock>,
}

/// What a service needs to know of the rest of the file.
pub(super) struct Surroundings<'a> {
    pub services: &'a [&'a str],
    pub has_accessories: bool,
    pub networks: &'a mut Resources,
    pub volumes: &'a mut Resources,
}

#[derive(Default)]
struct Image {
    build: Option<BuildSpec>,
    reference: Option<(String, Span)>,
    policy: Option<(Pull, Span)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Pull {
    Policy(PullPolicy),
    Build,
}

/// Problems are noted in `cx`; `None` when the service has no shape at all.
pub(super) fn read(cx: &mut Context<'_>, entry: &Entry, around: &mut Surroundings<'_>) -> Option<Draft> {
    let name = entry.key.as_str();
    let map = match &entry.value.value {
        Value::Map(map) => map,
        _ => {
            cx.refuse(
                Problem::at(
                    entry.key_span,
                    format!("service `{}` must be a map, not {}", clip(name), entry.value.describe()),
                )
                .hint("give it `image` or `build`"),
            );
            return None;
        }
    };
    let block = map.get("x-deploy-apps");
    let is_app = block.is_some();
    let mut spec = ContainerSpec::default();
    let (mut image, mut deploy, mut mounts) = (Image::default(), Deploy::default(), Mounts::default());
    let (mut restart, mut depends_on) = (None, Vec::new());

    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "build" => image.build = build::read(cx, field),
            "image" => image.reference = cx.keep(reference(field)).map(|text| (text, field.key_span)),
            "pull_policy" => image.policy = cx.keep(pull_policy(field)).map(|policy| (policy, field.key_span)),
            "restart" => restart = cx.keep(self::restart(field)),
            "depends_on" => depends_on = depends::read(cx, field, around.services),
            "deploy" => deploy::read(cx, field, &mut deploy),
            "scale" => deploy::replicas(cx, field, &mut deploy),
            "cpus" => deploy::cpus(cx, field, &mut deploy.resources),
            "mem_limit" => deploy::mem_limit(cx, field, &mut deploy.resources),
            "mem_reservation" => deploy::reservation(cx, field, &mut deploy.resources),
            "pids_limit" => deploy::pids(cx, field, &mut deploy.resources),
            "volumes" => mounts::read(cx, field, around.volumes, &mut mounts),
            "tmpfs" => mounts::tmpfs(cx, field, &mut mounts),
            "ports" if is_app => cx.refuse(
                Problem::at(
                    field.key_span,
                    format!("app `{name}` has host `ports`, for which its replicas would compete"),
                )
                .hint("remove them; the proxy publishes the app: set `x-deploy-apps.port`"),
            ),
            "ports" => spec.ports = ports::read(cx, field),
            // These are read together below, or say nothing that has an effect: `expose` only documents.
            "environment" | "env_file" | "networks" | "x-deploy-apps" | "expose" => {}
            _ => container_key(cx, field, &mut spec),
        }
    }
    spec.environment = variables::read(cx, map.get("env_file"), map.get("environment"));
    let role = networks::Role { service: name, is_app, has_accessories: around.has_accessories };
    spec.networks = networks::read(cx, map.get("networks"), role, around.networks);
    spec.resources = deploy.resources.clone();
    check_together(cx, name, is_app, &deploy, &mounts);
    spec.mounts = mounts.mounts;
    spec.tmpfs = mounts.tmpfs;

    let image = source(cx, entry, image);
    let app = match block {
        Some(block) => Some(app_block::read(cx, name, block)?),
        None => None,
    };
    Some(Draft { image: image?, container: spec, restart, depends_on, deploy, app })
}

/// The keys that go into the container as they are.
fn container_key(cx: &mut Context<'_>, field: &Entry, spec: &mut ContainerSpec) {
    match field.key.as_str() {
        "command" => cx.set_some(&mut spec.command, collect::command("command", &field.value)),
        "entrypoint" => cx.set_some(&mut spec.entrypoint, collect::command("entrypoint", &field.value)),
        "user" => cx.set_some(&mut spec.user, field.text()),
        "working_dir" => cx.set_some(&mut spec.working_dir, field.text()),
        "hostname" => cx.set_some(&mut spec.hostname, hostname(field)),
        "init" => cx.set(&mut spec.init, field.boolean()),
        "read_only" => cx.set(&mut spec.read_only, field.boolean()),
        "labels" => labels(cx, field, spec),
        "extra_hosts" => cx.set(&mut spec.extra_hosts, collect::hosts(field)),
        "cap_add" => cx.set(&mut spec.cap_add, collect::texts(field)),
        "cap_drop" => cx.set(&mut spec.cap_drop, collect::texts(field)),
        "security_opt" => cx.set(&mut spec.security_opt, collect::texts(field)),
        "ulimits" => cx.set(&mut spec.ulimits, ulimits(field)),
        "sysctls" => {
            let read = collect::string_map(field).map(|map| map.into_iter().collect());
            cx.set(&mut spec.sysctls, read);
        }
        "logging" => spec.logging = logging(cx, field),
        "stop_signal" => cx.set_some(&mut spec.stop_signal, stop_signal(field)),
        "stop_grace_period" => cx.set_some(&mut spec.stop_grace, field.duration()),
        "healthcheck" => spec.healthcheck = healthcheck::read(cx, field),
        _ => {
            if let Some(problem) = refuse::SERVICE.refusal(field) {
                cx.refuse(problem);
            }
        }
    }
}

/// What no key alone can tell.
fn check_together(cx: &mut Context<'_>, name: &str, is_app: bool, deploy: &Deploy, mounts: &Mounts) {
    if let (true, Some(span), false) = (is_app, mounts.shared_writable, deploy.order_chosen) {
        let message = format!("app `{name}` writes to a volume that its old and new version would share");
        let hint = "set `deploy.update_config.order: stop-first` for a single writer, \
                    or `start-first` if both may write at once, or mount it read-only";
        cx.refuse(Problem::at(span, message).hint(hint));
    }
    if is_app {
        return;
    }
    if let Some((count, span)) = deploy.replicas.filter(|(count, _)| *count != 1) {
        let message = format!("`{name}` has {count} replicas, but a service without an `x-deploy-apps` block has one");
        cx.refuse(Problem::at(span, message).hint("add the block to roll it, or remove the number"));
    }
    if let Some(span) = deploy.update_config {
        let message = format!("`update_config` has no effect on `{name}`, which is not rolled");
        cx.warn(Problem::at(span, message).hint("add an `x-deploy-apps` block to roll it"));
    }
}

fn source(cx: &mut Context<'_>, entry: &Entry, image: Image) -> Option<ImageSource> {
    match (image.build, image.reference) {
        (Some(build), reference) => {
            if let Some((_, span)) = reference {
                let problem =
                    Problem::at(span, "`image` beside `build` has no effect: each release has a tag of its own");
                cx.warn(problem);
            }
            if let Some((Pull::Policy(_), span)) = image.policy {
                let problem = Problem::at(span, "`pull_policy` has no effect beside `build`");
                cx.warn(problem.hint("use `build.pull` to look for a newer base image"));
            }
            Some(ImageSource::Build(Box::new(build)))
        }
        (None, Some((reference, _))) => match image.policy {
            Some((Pull::Build, span)) => {
                cx.refuse(Problem::at(span, "`pull_policy: build` without `build`").hint("add `build`, or remove it"));
                None
            }
            Some((Pull::Policy(policy), _)) => Some(ImageSource::Pull { reference, policy }),
            None => Some(ImageSource::Pull { reference, policy: PullPolicy::default() }),
        },
        (None, None) => {
            // A build or image that is there but wrong has been reported already.
            if let Value::Map(Map { entries }) = &entry.value.value
                && !entries
                    .iter()
                    .any(|field| matches!(field.key.as_str(), "build" | "image") && !field.value.is_null())
            {
                let message = format!("service `{}` has neither `build` nor `image`", clip(&entry.key));
                cx.refuse(Problem::at(entry.key_span, message).hint("add `build: .` or `image: name:tag`"));
            }
            None
        }
    }
}

fn reference(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let repository = text.split('@').next().unwrap_or_default().rsplit_once('/').map_or("", |(path, _)| path);
    let lower = repository.split('/').skip(1).all(|part| !part.contains(|c: char| c.is_ascii_uppercase()));
    if text.chars().all(valid) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && lower {
        return Ok(text);
    }
    Err(field.expected("an image such as `redis:8` or `registry.example.com/team/app:1.2`"))
}

fn pull_policy(field: &Entry) -> Read<Pull> {
    let policies = [
        ("always", Pull::Policy(PullPolicy::Always)),
        ("missing", Pull::Policy(PullPolicy::Missing)),
        ("if_not_present", Pull::Policy(PullPolicy::Missing)),
        ("never", Pull::Policy(PullPolicy::Never)),
        ("build", Pull::Build),
    ];
    choice("pull_policy", &field.value, &policies)
}

fn restart(field: &Entry) -> Read<Restart> {
    let text = field.text()?;
    match text.split_once(':').map_or((text.as_str(), None), |(word, count)| (word, Some(count))) {
        ("no" | "false", None) => Ok(Restart::No),
        ("always", None) => Ok(Restart::Always),
        ("unless-stopped", None) => Ok(Restart::UnlessStopped),
        ("on-failure", None) => Ok(Restart::OnFailure(None)),
        ("on-failure", Some(count)) if count.parse::<u32>().is_ok() => Ok(Restart::OnFailure(count.parse().ok())),
        _ => Err(field.expected("`no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`")),
    }
}

fn hostname(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if text.len() <= 63 && text.chars().all(valid) {
        Ok(text)
    } else {
        Err(field.expected("at most 63 letters, digits, `-`, `_` and `.`"))
    }
}

fn stop_signal(field: &Entry) -> Read<String> {
    let text = field.text()?;
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-');
    if text.len() <= 16 && text.chars().all(valid) {
        Ok(text)
    } else {
        Err(field.expected("a signal such as `SIGQUIT`"))
    }
}

fn labels(cx: &mut Context<'_>, field: &Entry, spec: &mut ContainerSpec) {
    cx.set(&mut spec.labels, collect::string_map(field));
    // Ours are the only memory of what runs; a user's must not look like one.
    let prefix = Label::PROJECT.split_inclusive('.').next().unwrap_or_default();
    if let Some(label) = spec.labels.keys().find(|label| label.starts_with(prefix)) {
        let message = format!("label `{}` is reserved", clip(label));
        cx.refuse(
            Problem::at(field.key_span, message).hint(format!("choose a name that does not start with `{prefix}`")),
        );
    }
}

fn ulimits(field: &Entry) -> Read<Vec<Ulimit>> {
    let value = |what: &str, node: &Node| match raw(what, node).ok().and_then(|text| text.parse::<i64>().ok()) {
        Some(value) if value >= -1 => Ok(value),
        _ => Err(super::scalar::expected(what, "a whole number, or -1 for no limit", node)),
    };
    let mut ulimits = Vec::new();
    for limit in &collect::map(field)?.entries {
        let (soft, hard) = match &limit.value.value {
            Value::Map(map) => {
                if let Some(problem) = map
                    .entries
                    .iter()
                    .find(|entry| !refuse::ULIMIT.known.contains(&entry.key.as_str()))
                    .and_then(|entry| refuse::ULIMIT.refusal(entry))
                {
                    return Err(problem);
                }
                match (map.get("soft"), map.get("hard")) {
                    (Some(soft), Some(hard)) => (value("soft", &soft.value)?, value("hard", &hard.value)?),
                    _ => {
                        return Err(Problem::at(
                            limit.key_span,
                            format!("ulimit `{}` needs `soft` and `hard`", clip(&limit.key)),
                        )
                        .hint("give both, or one number for both"));
                    }
                }
            }
            _ => value(&limit.key, &limit.value).map(|value| (value, value))?,
        };
        ulimits.push(Ulimit { name: limit.key.clone(), soft, hard });
    }
    Ok(ulimits)
}

fn logging(cx: &mut Context<'_>, entry: &Entry) -> Option<Logging> {
    let map = cx.keep(collect::map(entry))?;
    let mut logging = Logging { driver: String::new(), options: std::collections::BTreeMap::new() };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "driver" => cx.set(&mut logging.driver, field.text()),
            "options" => {
                let read = collect::string_map(field).map(|map| map.into_iter().collect());
                cx.set(&mut logging.options, read);
            }
            _ => {
                if let Some(problem) = refuse::LOGGING.refusal(field) {
                    cx.refuse(problem);
                }
            }
        }
    }
    Some(logging)
}
