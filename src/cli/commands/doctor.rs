//! `deploy-apps doctor`

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::common::{CommonArgs, Format};
use crate::cli::context::{self, load_request};
use crate::cli::engine::{connect, control_client};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::cli::published;
use crate::compose;
use crate::diagnosis::{Certificate, EngineFacts, Facts, Finding, Level, ProxyFacts, diagnose};
use crate::docker::{DockerEngine, certificate_end};
use crate::model::{
    ContainerState, HostFacts, InvalidName, ObservedEngine, ObservedProxy, Project, ProjectName, ProxyName, ProxySpec,
};
use crate::plan::{PlanRefused, ProxyImage, orphans, plan_proxy, proxy_drift};
use crate::ports::{Engine, EngineError, InspectEngine, InspectProxy};
use crate::proxy;
use crate::rollout::{Repaired, Run, repair, restarting};

/// Facts that only a process in the proxy's container can read: clock, limits and nginx version.
const INSIDE: &str = "date +%s.%N; sed -n 's/^Max open files *\\([0-9]*\\).*/\\1/p' /proc/1/limits; \
                      cat /proc/sys/net/core/somaxconn; nginx -v 2>&1 | sed 's/.*nginx.//; s/ .*//'";

#[derive(Debug, Clone, Copy, Args)]
pub struct DoctorArgs {
    /// Repair what needs no decision: start a stopped proxy and dead replicas, remove what nobody uses
    #[arg(long)]
    pub fix: bool,
}

/// Checks everything that a deploy relies on. Also works without a compose file, an engine or a proxy.
pub async fn run(common: &CommonArgs, args: DoctorArgs) -> Result<Exit, Failure> {
    let mut findings = Vec::new();
    let project = compose_file(common, &mut findings);
    let engine = match connect(common).await {
        Ok(engine) => Some(engine),
        Err(EngineError { message, hint, .. }) => {
            findings.push(Finding::problem("engine", message, hint.unwrap_or_default()));
            None
        }
    };
    let mut repaired = None;
    if let (Some(engine), true) = (&engine, args.fix) {
        repaired = Some(fix(engine, project.as_ref()).await?);
    }
    let facts = gather(common, project.as_ref(), engine.as_ref(), &mut findings).await;
    findings.extend(diagnose(&facts));
    let text = match common.format() {
        Format::Json => document(&findings, repaired.as_ref()).to_string(),
        _ => lines(&findings, repaired.as_ref()).join("\n"),
    };
    output::result(format!("{text}\n").as_bytes())?;
    let worst = findings.iter().map(|finding| finding.level).max();
    Ok(if worst == Some(Level::Problem) { Exit::Failed } else { Exit::Done })
}

fn compose_file(common: &CommonArgs, findings: &mut Vec<Finding>) -> Option<Project> {
    let error = match load_request(common).map(|request| compose::load(&request)) {
        Ok(Ok(loaded)) => {
            let apps = loaded.project.apps.len();
            let text = format!("project `{}`, {apps} app{}", loaded.project.name, if apps == 1 { "" } else { "s" });
            findings.push(Finding::ok("compose", text));
            let warnings = loaded.warnings.iter().map(|warning| {
                let text = warning.to_string();
                let first = text.lines().next().unwrap_or_default().trim_start_matches("warning: ").to_owned();
                Finding::warning("compose", first, "see `deploy-apps config`")
            });
            findings.extend(warnings);
            return Some(loaded.project);
        }
        Ok(Err(error)) => Failure::from(error),
        Err(failure) => failure,
    };
    let first = error.message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let nothing_there = first.starts_with("no `compose.yaml`");
    findings.push(match nothing_there {
        true => Finding::warning("compose", first, "go to the project's folder, or name the file with `-f`"),
        false => Finding::problem("compose", first, "`deploy-apps config` shows the place"),
    });
    None
}

async fn fix(engine: &DockerEngine, project: Option<&Project>) -> Result<Repaired, Failure> {
    let name = proxy_name(project);
    let operator = context::operator_of(&any_project(project)?);
    let proxy = Arc::new(control_client(engine, &name));
    let run = Run::new(Arc::new(engine.clone()), proxy, Arc::new(|_| ()), CancellationToken::new());
    match repair(&run, &name, project, &operator).await {
        Ok(repaired) => Ok(repaired),
        Err(error) => Ok(Repaired { done: Vec::new(), failed: vec![error.to_string()] }),
    }
}

/// Without a file any name works: it is only displayed.
fn any_project(project: Option<&Project>) -> Result<ProjectName, Failure> {
    match project {
        Some(project) => Ok(project.name.clone()),
        None => "doctor".parse().map_err(|error: InvalidName| Failure::new(Exit::Failed, error.to_string())),
    }
}

fn proxy_name(project: Option<&Project>) -> ProxyName {
    project.map(|project| project.proxy.name.clone()).unwrap_or_default()
}

async fn gather(
    common: &CommonArgs,
    project: Option<&Project>,
    engine: Option<&DockerEngine>,
    findings: &mut Vec<Finding>,
) -> Facts {
    let mut facts = Facts {
        now: Timestamp::now(),
        desired: project.map(|project| project.proxy.clone()),
        proxy_name: proxy_name(project),
        build_id: proxy::build_id(),
        certificates: certificates(),
        ..Facts::default()
    };
    let Some(engine) = engine else { return facts };
    // The certificates in use, from the environment or from a docker context.
    if !engine.certificates().is_empty() {
        let used = engine.certificates().iter();
        facts.certificates = used
            .map(|used| Certificate { path: used.file.display().to_string(), not_after: Ok(used.not_after) })
            .collect();
    }
    match engine_facts(common, &facts, project, engine).await {
        Ok(seen) => {
            let name = facts.proxy_name.container();
            let runs = seen.observed.container(&name).is_some_and(|proxy| proxy.state == ContainerState::Running);
            facts.now = Timestamp::now();
            if runs {
                facts.proxy = proxy_facts(&facts.proxy_name, project, engine).await;
            }
            if let Some(project) = project {
                let nothing = ObservedProxy::default();
                let state = facts.proxy.as_ref().map_or(&nothing, |proxy| &proxy.state);
                facts.orphans = orphans(project, &seen.observed, state);
            }
            facts.engine = Some(seen);
            if let (Some(project), Some(_)) = (project, &facts.proxy) {
                facts.published = Some(published::ask(project, engine.about()).await);
            }
        }
        Err(EngineError { message, hint, .. }) => {
            findings.push(Finding::problem("engine", message, hint.unwrap_or_default()));
        }
    }
    facts
}

async fn engine_facts(
    common: &CommonArgs,
    facts: &Facts,
    project: Option<&Project>,
    engine: &DockerEngine,
) -> Result<EngineFacts, EngineError> {
    let host = engine.host_facts().await?;
    let observed = engine.observe(&facts.proxy_name).await?;
    let disk = engine.disk(&facts.proxy_name).await?;
    let forgotten = if host.is_here { engine.forgotten().await? } else { Vec::new() };
    let not_restarted = engine.not_restarted(&observed).await?;
    let port_holder = match &facts.desired {
        Some(desired) => port_holder(engine, desired, &host).await?.map(|holder| holder + composes(desired, &observed)),
        None => None,
    };
    let drift = facts.desired.as_ref().and_then(|desired| proxy_drift(desired, &observed));
    let differs = facts.desired.as_ref().and_then(|desired| differs(desired, &observed));
    let neighbours = engine.neighbours(&facts.proxy_name).await?;
    let ids: Vec<String> = observed.containers.iter().map(|container| container.id.clone()).collect();
    let lifetimes = engine.lifetimes(&ids).await?;
    let unstable = restarting(engine, project, &observed.containers, &lifetimes).await;
    let info = engine.info().await?;
    Ok(EngineFacts {
        info,
        host,
        observed,
        disk,
        min_free: common.min_free,
        not_restarted,
        forgotten,
        port_holder,
        differs,
        drift,
        neighbours,
        unstable,
    })
}

/// A container that publishes the port, or another process on this machine.
async fn port_holder(
    engine: &DockerEngine,
    desired: &ProxySpec,
    host: &HostFacts,
) -> Result<Option<String>, EngineError> {
    if let Some(container) = engine.publisher(desired.http_port).await? {
        return Ok(Some(format!("container `{container}`")));
    }
    if !host.is_here {
        return Ok(None);
    }
    let address: IpAddr =
        desired.bind.as_deref().and_then(|bind| bind.parse().ok()).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let taken = TcpListener::bind((address, desired.http_port))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    Ok(taken.then(|| format!("a process (`sudo ss -ltnp 'sport = :{}'` names it)", desired.http_port)))
}

/// A note for a case that needs no fix: a deploy takes the port over.
fn composes(desired: &ProxySpec, observed: &ObservedEngine) -> &'static str {
    let holds = observed.composed.iter().any(|one| one.ports.contains(&desired.http_port));
    if holds { ", which docker compose made: a deploy of that service as an app takes the port over" } else { "" }
}

/// Why a deploy would be refused because the proxy's settings differ, and how to fix it. The planner decides which
/// settings matter; the image does not.
pub(super) fn differs(desired: &ProxySpec, observed: &ObservedEngine) -> Option<(String, String)> {
    let image = ProxyImage { build_id: proxy::build_id(), build: proxy::build(&desired.base_image) };
    let refused = plan_proxy(desired, &image, observed).err()?;
    matches!(refused, PlanRefused::ProxyDiffers { .. }).then(|| (refused.to_string(), refused.hint()))
}

async fn proxy_facts(name: &ProxyName, project: Option<&Project>, engine: &DockerEngine) -> Option<ProxyFacts> {
    // The traffic counters are not used here, so any project works.
    let any = any_project(project).ok()?;
    let client = control_client(engine, name);
    let (overview, inside) = tokio::join!(client.overview(&any), engine.in_proxy(name, INSIDE));
    let overview = overview.ok()?;
    let inside = inside.unwrap_or_default();
    let mut lines = inside.lines().map(str::trim);
    let clock = lines.next().and_then(|text| text.parse::<f64>().ok());
    let clock = clock.and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok());
    Some(ProxyFacts {
        build: overview.build,
        state: overview.state,
        leases: overview.leases,
        clock,
        open_files: lines.next().and_then(|text| text.parse().ok()),
        somaxconn: lines.next().and_then(|text| text.parse().ok()),
        nginx: lines.next().filter(|text| !text.is_empty()).map(str::to_owned),
    })
}

/// The certificates that the docker command would use.
fn certificates() -> Vec<Certificate> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if set("DOCKER_CERT_PATH").is_none() && set("DOCKER_TLS_VERIFY").is_none() {
        return Vec::new();
    }
    let folder = set("DOCKER_CERT_PATH").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")));
    let files = folder.into_iter().flat_map(|folder| ["ca.pem", "cert.pem"].map(|file| folder.join(file)));
    files.map(|path| Certificate { not_after: certificate_end(&path), path: path.display().to_string() }).collect()
}

fn document(findings: &[Finding], repaired: Option<&Repaired>) -> Value {
    json!({
        "v": 1,
        "findings": findings,
        "problems": findings.iter().filter(|finding| finding.level == Level::Problem).count(),
        "warnings": findings.iter().filter(|finding| finding.level == Level::Warning).count(),
        "fixed": repaired.map(|repaired| &repaired.done),
        "not_fixed": repaired.map(|repaired| &repaired.failed),
    })
}

fn lines(findings: &[Finding], repaired: Option<&Repaired>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(repaired) = repaired {
        lines.extend(repaired.done.iter().map(|what| format!("fixed    {what}")));
        lines.extend(repaired.failed.iter().map(|why| format!("not fixed: {why}")));
        if repaired.done.is_empty() && repaired.failed.is_empty() {
            lines.push("nothing to fix".to_owned());
        }
    }
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    lines.extend(findings.iter().map(|finding| {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        };
        let fix = if finding.fixable { " (`--fix` does it)" } else { "" };
        let remedy = finding.remedy.as_ref().filter(|remedy| !remedy.is_empty());
        let remedy = remedy.map(|remedy| format!("; {remedy}{fix}")).unwrap_or_default();
        format!("{level:7}  {:width$}  {}{remedy}", finding.check, finding.message)
    }));
    lines
}
