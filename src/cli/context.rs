//! What every command starts with: project, engine, proxy and event sink.

use std::collections::BTreeMap;
use std::sync::{Arc, Once};

use super::ahead::ahead;
use super::common::{CommonArgs, Format};
use super::crash::crash_hook;
use super::engine::{connect, control_client};
use super::error_report;
use super::exit::{Exit, Failure};
use super::listeners::Listeners;
use super::memory;
use super::origin;
use super::remote;
use super::signals::Signals;
use crate::compose::{self, ComposeError, ComposeErrorKind, LoadRequest, Loaded, Needs};
use crate::docker::DockerEngine;
use crate::event::Event;
use crate::model::{InvalidName, Project, ProjectName};
use crate::plan::ProxyImage;
use crate::ports::Operator;
use crate::proxy::{self, ControlClient};
use crate::report::{self, Manner, Reporter, Surroundings};
use crate::rollout::{DiskBudget, Run, Sink};

/// The environment of a command.
pub struct Context {
    pub project: Project,
    pub engine: Arc<DockerEngine>,
    pub signals: Signals,
    pub reporter: Arc<dyn Reporter>,
    pub operator: Operator,
    pub lock_wait: std::time::Duration,
    /// In bytes; `None`: depends on the disk's size.
    pub min_free: Option<u64>,
    pub format: Format,
    /// The command's name if it changes something: then traces and webhooks observe it.
    operation: Option<&'static str>,
    listeners: Arc<Listeners>,
    /// Git is queried, and warnings about a remote engine's bind mounts are shown, only once and only for a command
    /// that changes something.
    asked_origin: Once,
}

impl Context {
    /// Reads the compose file and connects to the engine.
    ///
    /// # Errors
    /// With the exit code for the failed part.
    pub async fn open(args: &CommonArgs, basis: Basis) -> Result<Self, Failure> {
        let signals =
            Signals::listen().map_err(|error| Failure::new(Exit::Failed, format!("no signal handlers: {error}")))?;
        if let Some(limit) = args.timeout {
            signals.cancel_after(limit);
        }
        // Errors in the file are reported without waiting for the engine.
        let (loaded, connecting) = ahead(Box::pin(load_project(args, &signals)), Box::pin(connect(args))).await;
        let (project, engine) = match loaded {
            Ok(project) => (project, connecting.await?),
            Err(error) if error.is_without_file() => {
                let name = remembered_name(args, basis, error)?;
                let engine = connecting.await?;
                (memory::project(&engine, &name).await?, engine)
            }
            Err(error) => return Err(error.into()),
        };
        let engine = Arc::new(engine);
        let surroundings = surroundings();
        let format = match args.format() {
            Format::Json => report::Format::Json,
            Format::Github => report::Format::Github,
            Format::Gitlab => report::Format::Gitlab,
            Format::Text | Format::Yaml | Format::Markdown => report::Format::for_people(surroundings),
        };
        let manner = Manner { verbosity: args.verbosity(), colour: surroundings.colour_forced };
        let reporter: Arc<dyn Reporter> = Arc::from(format.reporter(manner));
        keep_telling(&reporter);
        let operator = operator(&project);
        Ok(Self {
            project,
            engine,
            signals,
            reporter,
            operator,
            lock_wait: args.lock_wait,
            min_free: args.min_free,
            format: args.format(),
            operation: None,
            listeners: Arc::default(),
            asked_origin: Once::new(),
        })
    }

    /// Makes `listeners` observe the runs of this command.
    #[must_use]
    pub fn observed_by(mut self, listeners: &Arc<Listeners>, operation: Option<&'static str>) -> Self {
        (self.listeners, self.operation) = (Arc::clone(listeners), operation);
        self
    }

    /// A run whose events go to the reporter and the listeners.
    pub fn run(&self) -> Run<DockerEngine, ControlClient> {
        let (reporter, signals) = (Arc::clone(&self.reporter), self.signals.clone());
        let listeners = Arc::clone(&self.listeners);
        if let Some(operation) = self.operation {
            listeners.begin(operation, &self.project, &self.operator, &self.signals.cancel);
        }
        self.run_into(Arc::new(move |event: Event| {
            signals.follow(&event);
            reporter.event(&event);
            listeners.event(&event);
        }))
    }

    /// A run with another event sink.
    pub fn run_into(&self, sink: Sink) -> Run<DockerEngine, ControlClient> {
        self.asked_origin.call_once(|| {
            if self.project.remembered {
                // Without a compose file there is no folder to check for a commit or bind mounts.
                return;
            }
            for warning in remote::binds(&self.project, self.engine.about()) {
                error_report::warn(&warning, self.format);
            }
            origin::find_out(&self.project.folder, &self.operator.origin);
        });
        let proxy = Arc::new(control_client(&self.engine, &self.project.proxy.name));
        Run::new(Arc::clone(&self.engine), proxy, sink, self.signals.cancel.clone())
            .with_hook(crash_hook())
            .by(self.operator.clone())
            .in_room(DiskBudget { proxy: self.project.proxy.name.clone(), minimum: self.min_free })
    }

    /// A client of the project's proxy. It connects on the first call.
    pub fn proxy(&self) -> ControlClient {
        control_client(&self.engine, &self.project.proxy.name)
    }

    /// Whether stdout is a terminal that can be redrawn.
    pub fn stdout_is_live(&self) -> bool {
        let Surroundings { dumb, ci, .. } = surroundings();
        console::user_attended() && !dumb && !ci
    }

    /// Whether text on stdout may be coloured.
    pub fn stdout_has_colour(&self) -> bool {
        self.stdout_is_live() && !surroundings().no_color
    }

    /// The embedded proxy image, ready to build.
    pub fn proxy_image(&self) -> ProxyImage {
        ProxyImage { build_id: proxy::build_id(), build: proxy::build(&self.project.proxy.base_image) }
    }
}

/// What a command needs to know of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The compose file.
    File,
    /// The compose file, or else what the engine knows.
    Memory,
}

/// Why no project was loaded.
enum Unloaded {
    Compose(ComposeError),
    Other(Failure),
}

impl Unloaded {
    /// Whether no file was named and none was found.
    fn is_without_file(&self) -> bool {
        matches!(self, Self::Compose(error) if error.kind == ComposeErrorKind::NoFile)
    }
}

impl From<Unloaded> for Failure {
    fn from(unloaded: Unloaded) -> Self {
        match unloaded {
            Unloaded::Compose(error) => error.into(),
            Unloaded::Other(failure) => failure,
        }
    }
}

/// The project's name if there is no file.
fn remembered_name(args: &CommonArgs, basis: Basis, error: Unloaded) -> Result<ProjectName, Failure> {
    let named = args.project_name.clone().or_else(|| std::env::var("COMPOSE_PROJECT_NAME").ok());
    let named = named.filter(|name| !name.is_empty());
    match (basis, named) {
        (Basis::Memory, Some(name)) => {
            name.parse().map_err(|error: InvalidName| Failure::new(Exit::Usage, error.to_string()))
        }
        (Basis::Memory, None) => Err(without_file(
            error,
            "`deploy-apps ls` lists the projects of this engine, and `-p NAME` works on one without its file",
        )),
        (Basis::File, Some(_)) => Err(without_file(
            error,
            "this command needs the compose file; `status`, `logs`, `rollback`, `restart` and others work with `-p NAME` alone",
        )),
        (Basis::File, None) => Err(error.into()),
    }
}

/// The error with an additional hint.
fn without_file(error: Unloaded, hint: &str) -> Failure {
    match error {
        Unloaded::Compose(mut error) => {
            for finding in &mut error.findings {
                let before = finding.hint.take().map(|before| format!("{before}; ")).unwrap_or_default();
                finding.hint = Some(format!("{before}{hint}"));
            }
            error.into()
        }
        Unloaded::Other(failure) => failure,
    }
}

/// Loads the project in a thread. Files may be pipes or on a hung disk, so a signal ends the wait; the thread ends with
/// the process.
async fn load_project(args: &CommonArgs, signals: &Signals) -> Result<Project, Unloaded> {
    let request = load_request(args).map_err(Unloaded::Other)?;
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || drop(send.send(compose::load(&request))));
    let failure = |exit, message| Unloaded::Other(Failure::new(exit, message));
    let loaded: Loaded = tokio::select! {
        loaded = receive => match loaded {
            Ok(loaded) => loaded.map_err(Unloaded::Compose)?,
            Err(_) => return Err(failure(Exit::Failed, "the compose files could not be read: a bug")),
        },
        () = signals.cancel.cancelled() => {
            return Err(failure(signals.exit(), "cancelled while the compose files were read"));
        }
    };
    for warning in &loaded.warnings {
        error_report::warn(warning, args.format());
    }
    Ok(loaded.project)
}

/// The load request from the options and the environment.
///
/// # Errors
/// When there is no current folder.
pub(super) fn load_request(args: &CommonArgs) -> Result<LoadRequest, Failure> {
    let folder = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Failed, format!("the current folder is not to be read: {error}")))?;
    // Values that are not UTF-8 cannot be used in a compose file.
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Ok(LoadRequest {
        files: args.files.clone(),
        folder,
        project_folder: args.project_directory.clone(),
        env_files: args.env_files.clone(),
        profiles: args.profiles.clone(),
        named: args.named.clone(),
        project_name: args.project_name.clone(),
        env,
        overlay: None,
        needs: match (args.deploys, args.named.is_empty()) {
            (false, _) => Needs::None,
            (true, true) => Needs::All,
            (true, false) => Needs::Of(args.named.clone()),
        },
        without_git: false,
    })
}

/// Makes the reporter repeat what a long wait is for, as long as the reporter exists.
fn keep_telling(reporter: &Arc<dyn Reporter>) {
    let reporter = Arc::downgrade(reporter);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
        loop {
            ticks.tick().await;
            match reporter.upgrade() {
                Some(reporter) => reporter.tick(),
                None => return,
            }
        }
    });
}

/// The width of the terminal; `None` (unlimited) if stdout is not a terminal.
pub(super) fn stdout_width() -> Option<usize> {
    if !console::user_attended() {
        return None;
    }
    match console::Term::stdout().size() {
        (_, 0) => Some(80),
        (_, width) => Some(width.into()),
    }
}

fn surroundings() -> Surroundings {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    Surroundings {
        stderr_is_terminal: console::user_attended_stderr(),
        dumb: std::env::var("TERM").is_ok_and(|term| term == "dumb"),
        no_color: is_set("NO_COLOR"),
        ci: is_set("CI"),
        colour_forced: is_set("CLICOLOR_FORCE")
            && std::env::var("CLICOLOR_FORCE").is_ok_and(|value| value != "0")
            && !is_set("NO_COLOR"),
    }
}

/// Who deploys: the person who started the pipeline, or else the local user.
fn operator(project: &Project) -> Operator {
    operator_of(&project.name)
}

/// The operator for a project known by name only.
pub(super) fn operator_of(project: &ProjectName) -> Operator {
    let first =
        |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let owner = first(&["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "SUDO_USER", "USER", "LOGNAME"])
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Operator { owner, host, project: project.clone(), origin: Arc::default() }
}
