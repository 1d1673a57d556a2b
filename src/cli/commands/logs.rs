//! `deploy-apps logs [APP…]`: the logs of the containers, merged by time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use crate::cli::common::Format;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::names::known_names;
use crate::compose::parse_duration;
use crate::model::{AccessLog, ContainerState, ObservedContainer, ReleaseNumber, Role};
use crate::ports::{Engine, EngineError, EngineErrorKind, InspectEngine, LogLine, LogRequest, LogStream, OutputStream};
use crate::report::logs::{LogSource, LogStyle, document, has_log};

/// How long a line is held to sort it with lines of other containers.
const HOLD: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Apps, accessories, or `proxy`; without any, all apps
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// Go on until Ctrl-C, also with the replicas that deploys bring
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines of each container
    #[arg(long, short = 'n', value_name = "N|all", default_value = "all", value_parser = tail)]
    pub tail: Tail,
    /// Only lines from this time on: `10m` ago, or `2026-11-20T12:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,
    /// Show when each line was written
    #[arg(short, long)]
    pub timestamps: bool,
    /// Only the containers of this release
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    pub release: Option<ReleaseNumber>,
    // Takes the place of the option that every command has, whose short form would be `-f`: here that follows.
    /// A compose file, as for every command; here it has no short form
    #[arg(id = "files", long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail(Option<u64>);

fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" => Ok(Tail(None)),
        number => number.parse().map(|number| Tail(Some(number))).map_err(|_| "a number of lines, or `all`".to_owned()),
    }
}

fn since(text: &str) -> Result<Timestamp, String> {
    let ago = || Timestamp::now().checked_sub(parse_duration(text)?).ok();
    let wrong = || "a duration such as `10m`, or a time such as `2026-11-20T12:00:00Z`".to_owned();
    text.parse().ok().or_else(ago).ok_or_else(wrong)
}

/// `r7` and `7` are the same release.
pub(super) fn release(text: &str) -> Result<ReleaseNumber, String> {
    let number = text.strip_prefix('r').unwrap_or(text);
    number.parse().map(ReleaseNumber).map_err(|_| "a release such as `r7`".to_owned())
}

/// Writes the selected logs.
pub async fn run(context: &Context, args: &LogsArgs) -> Result<Exit, Failure> {
    let begun = Timestamp::now();
    let observed = context.engine.observe(&context.project.proxy.name).await?;
    check_names(context, args, &observed.containers)?;
    let containers: Vec<&ObservedContainer> =
        observed.containers.iter().filter(|container| is_wanted(context, args, container)).collect();
    if containers.is_empty() && !args.follow {
        return Err(nothing(args));
    }
    let mut printer = Printer::new(context, args);
    printer.widen(containers.iter().copied());
    for stopped in containers.iter().filter(|container| writes_files(container) && !is_running(container)) {
        errln!(
            "warning: the proxy `{}` does not run, so only what nginx has said itself is shown: its requests are in files of its \
             volume `{}`\n\nhint: `deploy-apps doctor --fix` starts it; then `deploy-apps logs proxy` reads them\n",
            stopped.name,
            stopped.labels.proxy.volume()
        );
    }
    let reading = async {
        let backlog = backlog(context, args, &containers, &mut printer).await?;
        match (backlog, args.follow) {
            (Some(backlog), true) => follow(context, args, backlog, begun, &mut printer).await,
            // The reader has gone, or all lines were written.
            _ => Ok(()),
        }
    };
    tokio::select! {
        biased;
        // Ctrl-C is the normal way to end `--follow`.
        () = context.signals.cancel.cancelled() => Ok(if args.follow { Exit::Done } else { context.signals.exit() }),
        read = reading => read.map(|()| Exit::Done),
    }
}

fn check_names(context: &Context, args: &LogsArgs, containers: &[ObservedContainer]) -> Result<(), Failure> {
    let project = &context.project;
    let on_host = containers.iter().filter(|container| container.labels.project.as_ref() == Some(&project.name));
    let on_host = on_host.filter_map(|container| container.labels.service.as_ref()).map(|name| name.as_str());
    let accessories = project.accessories.keys().map(|name| name.as_str());
    known_names(project, &args.apps, on_host.chain(accessories).chain(["proxy"]))
}

fn is_wanted(context: &Context, args: &LogsArgs, container: &ObservedContainer) -> bool {
    let (project, labels) = (&context.project, &container.labels);
    let has_release = args.release.is_none() || labels.release == args.release;
    let is_named = |name: &str| args.apps.iter().any(|named| named == name);
    let is_ours = match (labels.role, &labels.service) {
        (Role::Proxy | Role::ProxyInstance, _) => {
            let is_service = project.apps.keys().chain(project.accessories.keys()).any(|name| name.as_str() == "proxy");
            is_named("proxy") && !is_service
        }
        _ if labels.project.as_ref() != Some(&project.name) => false,
        (Role::Replica | Role::ReleaseCommand, Some(service)) => args.apps.is_empty() || is_named(service.as_str()),
        (_, Some(service)) => is_named(service.as_str()),
        (_, None) => false,
    };
    is_ours && has_release && has_log(container)
}

fn nothing(args: &LogsArgs) -> Failure {
    let of = args.apps.iter().map(|app| format!("`{app}`")).collect::<Vec<_>>().join(", ");
    let of = if of.is_empty() { String::new() } else { format!(" of {of}") };
    let release = args.release.map(|release| format!(" in {release}")).unwrap_or_default();
    Failure::new(Exit::Refused, format!("there is no container{of}{release} whose log could be read"))
        .hint("`deploy-apps status` shows what there is; the log of a replica goes with its container")
}

/// One log of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum LogKey {
    /// Its output, through the engine.
    Output(String),
    /// The proxy's access log files.
    Access(String),
}

fn writes_files(container: &ObservedContainer) -> bool {
    container.labels.tuning.is_some_and(|tuning| tuning.access_log == AccessLog::File)
}

fn is_running(container: &ObservedContainer) -> bool {
    container.state == ContainerState::Running
}

/// The log files of a stopped proxy cannot be read.
fn keys(container: &ObservedContainer) -> impl Iterator<Item = LogKey> {
    let access = (writes_files(container) && is_running(container)).then(|| container.name.clone());
    std::iter::once(LogKey::Output(container.name.clone())).chain(access.map(LogKey::Access))
}

fn open(context: &Context, key: &LogKey, request: &LogRequest) -> LogStream {
    match key {
        LogKey::Output(container) => context.engine.logs(container, request),
        LogKey::Access(container) => context.engine.access_log(container, request),
    }
}

/// The lines written before the command started.
#[derive(Default)]
struct Backlog {
    /// The time of each log's last line.
    last: BTreeMap<LogKey, Option<Timestamp>>,
    /// Access log streams that stay open for following: workers write to a file in turns, so a timestamp is not a
    /// position in it.
    open: Vec<(LogKey, LogSource, LogStream)>,
}

/// Writes the existing lines. Each log is ordered, so the earliest of their next lines is next. `None` when the output
/// has no reader any more.
async fn backlog(
    context: &Context,
    args: &LogsArgs,
    containers: &[&ObservedContainer],
    printer: &mut Printer,
) -> Result<Option<Backlog>, Failure> {
    let mut logs = Vec::new();
    let mut backlog = Backlog::default();
    for container in containers {
        for key in keys(container) {
            backlog.last.insert(key.clone(), None);
            let goes_on = args.follow && matches!(key, LogKey::Access(_));
            let request = LogRequest { tail: args.tail.0, since: args.since, follow: goes_on };
            let mut lines = open(context, &key, &request);
            match next_line(&mut lines, goes_on).await? {
                Some(next) => logs.push((key, LogSource::of(container), lines, next)),
                None if goes_on => backlog.open.push((key, LogSource::of(container), lines)),
                None => {}
            }
        }
    }
    while let Some(first) = (0..logs.len()).min_by_key(|index| logs[*index].3.at) {
        let (key, source, lines, next) = &mut logs[first];
        backlog.last.insert(key.clone(), Some(next.at));
        if !printer.print(source, next) {
            return Ok(None);
        }
        let goes_on = args.follow && matches!(key, LogKey::Access(_));
        match next_line(lines, goes_on).await? {
            Some(line) => *next = line,
            None => {
                let (key, source, lines, _) = logs.remove(first);
                backlog.open.extend(goes_on.then_some((key, source, lines)));
            }
        }
    }
    Ok(Some(backlog))
}

/// The next line. In a stream that stays open, an empty line marks the end of the existing lines.
async fn next_line(lines: &mut LogStream, goes_on: bool) -> Result<Option<LogLine>, Failure> {
    match lines.next().await {
        Some(Ok(line)) if goes_on && line.text.is_empty() => Ok(None),
        Some(Ok(line)) => Ok(Some(line)),
        // The container was removed meanwhile.
        Some(Err(error)) if error.kind == EngineErrorKind::NotFound => Ok(None),
        Some(Err(error)) => Err(error.into()),
        None => Ok(None),
    }
}

/// An event from a follower of one container, or of the engine.
enum News {
    Line(LogKey, LogSource, LogLine),
    Started,
    Ended(LogKey),
    Failed(EngineError),
}

/// Follows all selected containers, existing and new ones.
async fn follow(
    context: &Context,
    args: &LogsArgs,
    backlog: Backlog,
    begun: Timestamp,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let (sender, mut news) = mpsc::channel::<News>(1024);
    let _starts = watch_starts(context, begun, sender.clone());
    let Backlog { mut last, open } = backlog;
    let start = Start { at: begun, known: last.keys().cloned().collect() };
    let begin =
        |(key, source, lines): (LogKey, _, _)| (key.clone(), follower(key, source, lines, None, sender.clone()));
    let mut followers: Followers = open.into_iter().map(begin).collect();
    attach(context, args, &last, &start, &mut followers, printer, &sender).await?;
    // Lines that are held until earlier lines of other containers have arrived.
    let mut held: BTreeMap<(Timestamp, u64), (Instant, LogSource, LogLine)> = BTreeMap::new();
    let mut count = 0;
    loop {
        let due = held.values().map(|(arrived, ..)| *arrived + HOLD).min();
        tokio::select! {
            Some(message) = news.recv() => match message {
                News::Line(key, source, line) => {
                    last.insert(key, Some(line.at));
                    count += 1;
                    held.insert((line.at, count), (Instant::now(), source, line));
                }
                News::Started => attach(context, args, &last, &start, &mut followers, printer, &sender).await?,
                News::Ended(key) => drop(followers.remove(&key)),
                News::Failed(error) => return Err(error.into()),
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let ready = held.values().filter(|(arrived, ..)| *arrived + HOLD <= Instant::now()).count();
                for _ in 0..ready {
                    let Some((_, (_, source, line))) = held.pop_first() else { break };
                    if !printer.print(&source, &line) {
                        return Ok(());
                    }
                }
            }
        }
    }
}

fn watch_starts(context: &Context, begun: Timestamp, news: mpsc::Sender<News>) -> AbortOnDropHandle<()> {
    let mut starts = context.engine.starts(&context.project.proxy.name, begun);
    AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(start) = starts.next().await {
            let told = match start {
                Ok(_) => News::Started,
                Err(error) => News::Failed(error),
            };
            if news.send(told).await.is_err() {
                return;
            }
        }
        let gone = EngineError::new(EngineErrorKind::Unreachable, "the engine has ended the stream of its events");
        drop(news.send(News::Failed(gone)).await);
    }))
}

/// When the command started, and the logs found then.
struct Start {
    at: Timestamp,
    known: BTreeSet<LogKey>,
}

type Followers = BTreeMap<LogKey, AbortOnDropHandle<()>>;

/// Follows one log and passes on the lines after `seen`.
fn follower(
    key: LogKey,
    source: LogSource,
    mut lines: LogStream,
    seen: Option<Timestamp>,
    news: mpsc::Sender<News>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(Ok(line)) = lines.next().await {
            let is_mark = matches!(key, LogKey::Access(_)) && line.text.is_empty();
            let is_new = !is_mark && seen.is_none_or(|seen| line.at > seen);
            if is_new && news.send(News::Line(key.clone(), source.clone(), line)).await.is_err() {
                return;
            }
        }
        // It has stopped. If it starts again, there is an event.
        drop(news.send(News::Ended(key)).await);
    }))
}

/// Starts to follow selected containers that are not followed yet.
async fn attach(
    context: &Context,
    args: &LogsArgs,
    last: &BTreeMap<LogKey, Option<Timestamp>>,
    start: &Start,
    followers: &mut Followers,
    printer: &mut Printer,
    news: &mpsc::Sender<News>,
) -> Result<(), Failure> {
    let observed = context.engine.observe(&context.project.proxy.name).await?;
    let wanted: Vec<&ObservedContainer> =
        observed.containers.iter().filter(|container| is_wanted(context, args, container)).collect();
    printer.widen(wanted.iter().copied());
    for (container, key) in wanted.into_iter().flat_map(|container| keys(container).map(move |key| (container, key))) {
        if followers.contains_key(&key) {
            continue;
        }
        let is_known = start.known.contains(&key);
        // Log files outlive the proxy that wrote them.
        let earliest = (!is_known && matches!(key, LogKey::Access(_))).then_some(start.at);
        let seen = last.get(&key).copied().flatten().or(earliest);
        // New containers are shown from their first line; existing ones have already shown the requested lines.
        let nothing_yet = is_known && seen.is_none() && args.tail.0 == Some(0);
        let since = seen.or(args.since.filter(|_| is_known));
        let request = LogRequest { tail: nothing_yet.then_some(0), since, follow: true };
        let lines = open(context, &key, &request);
        followers.insert(key.clone(), follower(key, LogSource::of(container), lines, seen, news.clone()));
    }
    Ok(())
}

struct Printer {
    json: bool,
    stdout: LogStyle,
    stderr: LogStyle,
}

impl Printer {
    fn new(context: &Context, args: &LogsArgs) -> Self {
        let style = |colour| LogStyle { colour, timestamps: args.timestamps, width: 0 };
        let colour = context.stdout_has_colour();
        Self {
            json: context.format == Format::Json,
            stdout: style(colour),
            stderr: style(colour && console::user_attended_stderr()),
        }
    }

    fn widen<'a>(&mut self, containers: impl Iterator<Item = &'a ObservedContainer>) {
        let widest = containers.map(|container| LogSource::of(container).label().len()).max().unwrap_or(0);
        self.stdout.width = self.stdout.width.max(widest);
        self.stderr.width = self.stdout.width;
    }

    /// Prints a line; false when the output has no reader any more.
    fn print(&self, source: &LogSource, line: &LogLine) -> bool {
        let written = match (self.json, line.stream) {
            (true, _) => writeln!(io::stdout(), "{}", document(source, line)),
            (false, OutputStream::Stdout) => io::stdout().write_all(&self.stdout.line(source, line)),
            (false, OutputStream::Stderr) => io::stderr().write_all(&self.stderr.line(source, line)),
        };
        written.is_ok()
    }
}
