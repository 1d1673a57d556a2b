//! `deploy-apps status [APP…]`

use std::io::Write;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::doctor::differs;
use crate::cli::ahead::ahead;
use crate::cli::common::Format;
use crate::cli::context::{Context, stdout_width};
use crate::cli::exit::{Exit, Failure};
use crate::cli::names::known_apps;
use crate::cli::output;
use crate::cli::published;
use crate::docker::DockerEngine;
use crate::model::{AppName, ContainerState, Project, strangers_among};
use crate::plan::{Seen, accessory_statuses, app_statuses, compose_lines, proxy_drift};
use crate::ports::Engine;
use crate::proxy::{self, ControlClient};
use crate::report::status::{ProxyStanding, Status};
use crate::report::watch::Watch;
use crate::rollout::{Snapshot, look, restarting};

/// Interval of `--watch`.
const INTERVAL: Duration = Duration::from_secs(1);
/// `--watch` checks the published port once in this many refreshes.
const LOOKS_TO_A_QUESTION: u64 = 10;

#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// The apps to show; without any, all of the project with accessories and proxy
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// Refresh every second until Ctrl-C; off a terminal, one snapshot after the other
    #[arg(short, long)]
    pub watch: bool,
    /// Do not read the sources to see what a deploy would change
    #[arg(long)]
    pub no_drift: bool,
}

/// Shows the state of the apps.
pub async fn run(context: &Context, args: &StatusArgs) -> Result<Exit, Failure> {
    let proxy = context.proxy();
    if args.watch {
        return watch(context, &proxy, args).await;
    }
    let status = tokio::select! {
        biased;
        () = context.signals.cancel.cancelled() => return Ok(context.signals.exit()),
        status = checked(context, &proxy, args) => status?,
    };
    let text = match context.format {
        Format::Json => status.document().to_string(),
        _ => status.lines(context.stdout_has_colour(), stdout_width()).join("\n"),
    };
    output::result(format!("{text}\n").as_bytes())?;
    Ok(exit(&status))
}

/// The status is always printed; the exit code tells a script that the proxy is down.
fn exit(status: &Status) -> Exit {
    let is_needed = status.apps.iter().any(|app| !app.replicas.is_empty());
    match (&status.proxy.error, status.proxy.state) {
        (None, _) => Exit::Done,
        // A host without a deploy needs no proxy.
        (Some(_), None) if !is_needed => Exit::Done,
        (Some(_), _) => Exit::NoProxy,
    }
}

/// The status, including a check of the published port.
async fn checked(context: &Context, proxy: &ControlClient, args: &StatusArgs) -> Result<Status, Failure> {
    let asking = published::ask(&context.project, context.engine.about());
    // Boxed: the futures are too large for the stack.
    let (status, answer) = ahead(Box::pin(gather(View::of(context, proxy), args)), Box::pin(asking)).await;
    let mut status = status?;
    if status.proxy.error.is_none() {
        status.proxy.published = Some(answer.await);
    }
    Ok(status)
}

/// Refreshes until Ctrl-C, which is a success.
async fn watch(context: &Context, proxy: &ControlClient, args: &StatusArgs) -> Result<Exit, Failure> {
    let mut screen = (context.format == Format::Text && context.stdout_is_live()).then(Watch::default);
    let (mut looks, mut published) = (0_u64, None);
    loop {
        let next = Instant::now() + INTERVAL;
        let look = async {
            // Each check is a line in the access log, so not every refresh makes one.
            let mut status = match looks % LOOKS_TO_A_QUESTION {
                0 => Box::pin(checked(context, proxy, args)).await?,
                _ => Box::pin(gather(View::of(context, proxy), args)).await?,
            };
            looks += 1;
            if status.proxy.published.is_some() {
                published.clone_from(&status.proxy.published);
            }
            status.proxy.published = published.clone().filter(|_| status.proxy.error.is_none());
            let shown = match (&mut screen, context.format) {
                (Some(screen), _) => screen.show(&status.lines(context.stdout_has_colour(), stdout_width())),
                (None, Format::Json) => writeln!(std::io::stdout(), "{}", status.document()),
                (None, _) => {
                    writeln!(std::io::stdout(), "{}\n", status.lines(false, stdout_width()).join("\n"))
                }
            };
            Ok::<_, Failure>(shown.is_ok())
        };
        tokio::select! {
            biased;
            () = context.signals.cancel.cancelled() => return Ok(Exit::Done),
            seen = look => if !seen? { return Ok(Exit::Done) },
        }
        tokio::select! {
            () = context.signals.cancel.cancelled() => return Ok(Exit::Done),
            () = sleep_until(next) => {}
        }
    }
}

/// The observed project, and the clients to observe it with.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub project: &'a Project,
    pub engine: &'a DockerEngine,
    pub proxy: &'a ControlClient,
}

impl<'a> View<'a> {
    pub fn of(context: &'a Context, proxy: &'a ControlClient) -> Self {
        Self { project: &context.project, engine: &context.engine, proxy }
    }
}

/// Collects the status.
pub(super) async fn gather(view: View<'_>, args: &StatusArgs) -> Result<Status, Failure> {
    let View { project, engine, proxy } = view;
    // Without a compose file there is no drift.
    let compares = !args.no_drift && !project.remembered;
    let in_file: Vec<AppName> = project.apps.keys().cloned().collect();
    let named = |name: &AppName| args.apps.is_empty() || args.apps.iter().any(|named| named == name.as_str());
    let compared: Vec<AppName> = in_file.into_iter().filter(named).collect();
    let (seen, info, neighbours) = tokio::try_join!(
        Box::pin(look(engine, proxy, project, &compared, compares)),
        engine.info(),
        engine.neighbours(&project.proxy.name)
    )?;
    let standing = Seen {
        observed: &seen.observed,
        lifetimes: &seen.lifetimes,
        proxy: seen.proxy.as_ref().ok(),
        compared: &seen.compared,
    };
    let mut apps = app_statuses(project, &standing);
    known_apps(project, &args.apps, apps.iter().map(|app| &app.app.app))?;
    apps.retain(|app| named(&app.app.app));
    let unstable = restarting(engine, Some(project), &seen.observed.engine.containers, &seen.lifetimes).await;
    let accessories = if args.apps.is_empty() { accessory_statuses(project, &standing) } else { Vec::new() };
    let traffic = standing.proxy.and_then(|proxy| proxy.traffic.as_ref());
    Ok(Status {
        project: project.name.clone(),
        at: Timestamp::now(),
        engine: (info.address, info.version),
        proxy: proxy_standing(project, &seen),
        windows: traffic.map(|traffic| (traffic.short_ms, traffic.long_ms)),
        apps,
        accessories,
        compared: compares,
        composed: compose_lines(project, &seen.observed.engine),
        strangers: strangers_among(&seen.observed.proxy, &neighbours),
        unstable,
        certificates: seen.observed.proxy.certificates_of(&project.name).cloned().collect(),
    })
}

fn proxy_standing(project: &Project, seen: &Snapshot) -> ProxyStanding {
    let name = &project.proxy.name;
    let container = seen.observed.engine.container(&name.container());
    let error = match (&seen.proxy, container.map(|container| container.state)) {
        (Ok(_), _) => None,
        (Err(_), None) => Some("there is none on this host".to_owned()),
        // When the proxy does not run, that is the reason.
        (Err(_), Some(state)) if state != ContainerState::Running => Some("it does not run".to_owned()),
        (Err(error), Some(_)) => Some(error.to_string()),
    };
    ProxyStanding {
        name: name.to_string(),
        state: container.map(|container| container.state),
        error,
        build: seen.proxy.as_ref().ok().map(|overview| overview.build.clone()),
        own_build: proxy::build_id(),
        differs: differs(&project.proxy, &seen.observed.engine),
        drift: proxy_drift(&project.proxy, &seen.observed.engine).filter(|_| !project.remembered),
        published: None,
        lifetime: container.and_then(|container| seen.lifetimes.get(&container.id)).copied().unwrap_or_default(),
    }
}
