//! `deploy-apps drain-test APP…`: redeploys apps under load and counts every failure.

mod files;
mod page;
mod recorder;
mod sink;
mod upgrades;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::deploy::KEEP;
use crate::cli::common::{Format, duration};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::remote;
use crate::compose;
use crate::load::{Expect, Load, LoadConfig, Phase, Traffic};
use crate::model::AppName;
use crate::plan::{CanaryChoice, DeployOptions, ProxyImage};
use crate::rollout::DeployRequest;
use crate::rollout::deploy;
use files::Files;
use page::Part;
use recorder::Recorder;
use sink::failures_only;
use upgrades::Upgrades;

/// Cannot be reached within the time limit, which is the effective limit.
const MOST_REQUESTS: u64 = 1_000_000_000;
/// Interval at which the number of requests is checked for `--min-requests`.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Timeout of the single request that checks each path before the load starts.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Args)]
pub struct DrainTestArgs {
    /// The apps to redeploy under load
    #[arg(value_name = "APP", required = true)]
    pub apps: Vec<String>,
    /// How many redeploys, one after the other
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub deploys: u32,
    /// Also replace the proxy so many times, each time before a redeploy or after the last one
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub proxy_upgrades: u32,
    /// Raw keep-alive clients per app, half GET and half POST; they never retry
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: u32,
    /// Time between two requests of a client
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = duration)]
    pub gap: Duration,
    /// Asked with GET; any 2xx counts
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub get_path: String,
    /// Asked with POST and a small body; any 2xx counts. Without it the clients send only GET
    #[arg(long, value_name = "PATH")]
    pub post_path: Option<String>,
    /// Asked by clients that wait long for their answer, such as `/sleep?for=25s`
    #[arg(long, value_name = "PATH")]
    pub sleep_path: Option<String>,
    /// A WebSocket that echoes
    #[arg(long, value_name = "PATH")]
    pub websocket_path: Option<String>,
    /// A stream of server-sent events
    #[arg(long, value_name = "PATH")]
    pub events_path: Option<String>,
    /// Takes a large body that trickles in
    #[arg(long, value_name = "PATH")]
    pub upload_path: Option<String>,
    /// Clients of each long kind (sleep, WebSocket, events, upload) per app
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub long_clients: u32,
    /// How long a WebSocket or an event stream is kept before its client leaves and comes again
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub stream_for: Duration,
    /// Load without a deploy, before the first and after the last one
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub steady: Duration,
    /// Go on after the last deploy until this many requests were sent
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_requests: u64,
    /// The longest time for all of it
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = duration)]
    pub limit: Duration,
    /// Write the report as a page with plots: one file that loads nothing
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write each plot as an SVG file into this folder, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
}

/// Sends load to the apps, redeploys them repeatedly, and reports failed requests.
pub async fn run(context: &Context, args: &DrainTestArgs) -> Result<Exit, Failure> {
    let apps = compose::select(&context.project, &args.apps)?;
    let (files, recorder) = (Files::reserve(args.html.as_deref(), args.svg.as_deref())?, Arc::new(Recorder::default()));
    let image = context.proxy_image();
    // Boxed here and below: the nested futures would be too large for the stack.
    let first = Box::pin(redeploy(context, &apps, &image, None)).await?;
    if first != Exit::Done {
        return Err(Failure::new(first, "the apps could not be deployed, so there is nothing to send load to"));
    }
    if args.proxy_upgrades > 0 {
        Upgrades::prepare(context, &image).await?;
    }
    let mut loads = Vec::new();
    for app in &apps {
        let target = Target::of(context, app)?;
        check_paths(&target, args).await?;
        let load =
            Load::start(config(&target, args)).await.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        loads.push((app.clone(), load));
    }
    let began: Vec<_> = loads.iter().map(|(_, load)| load.began()).collect();
    let mut upgrades = Upgrades::default();
    let ended = Box::pin(campaign(context, args, &apps, &image, &loads, &recorder, &mut upgrades));
    // Without plots the proxy is not polled.
    let ended = if files.are_wanted() || context.format == Format::Json {
        let proxy = context.proxy();
        tokio::select! {
            ended = ended => ended,
            never = recorder.watch(&proxy, &context.project.name) => match never {},
        }
    } else {
        ended.await
    };
    let mut reports = Vec::new();
    for (app, load) in loads {
        reports.push((app, load.stop().await));
    }
    let finished = upgrades.finish(context, &image).await;
    let parts: Vec<Part<'_>> = reports
        .iter()
        .zip(began)
        .map(|((app, report), began)| Part::new(app, report, recorder.record(&context.project.key(app), began)))
        .collect();
    print(context, args, &parts);
    let written = files.write(&parts, args.deploys, matches!(ended, Ok(Exit::Done)));
    let exit = ended?;
    written?;
    finished?;
    let lost: u64 = reports.iter().map(|(_, report)| report.failures()).sum();
    Ok(if exit == Exit::Done && lost > 0 { Exit::LostRequests } else { exit })
}

/// Steady load, the redeploys one after the other, then steady load again.
async fn campaign(
    context: &Context,
    args: &DrainTestArgs,
    apps: &[AppName],
    image: &ProxyImage,
    loads: &[(AppName, Load)],
    recorder: &Arc<Recorder>,
    upgrades: &mut Upgrades,
) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.limit;
    let all = |phase| loads.iter().for_each(|(_, load)| load.set_phase(phase));
    let sent = || loads.iter().map(|(_, load)| load.progress().requests).sum::<u64>();
    let lost = || loads.iter().map(|(_, load)| load.progress().failures).sum::<u64>();
    steady(context, args.steady).await;
    for number in 1..=args.deploys.max(args.proxy_upgrades) {
        if context.signals.cancel.is_cancelled() {
            return Ok(context.signals.exit());
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(
                Exit::Failed,
                format!("{} of {} deploys done within {:?}", number - 1, args.deploys, args.limit),
            )
            .hint("give it more time with `--limit`, or fewer `--deploys`"));
        }
        if number <= args.proxy_upgrades {
            all(Phase::Deploying);
            let took = upgrades.replace(context, image).await?;
            all(Phase::Steady);
            errln!("proxy {number}/{}  {took:.1}s  {} requests, {} failed", args.proxy_upgrades, sent(), lost());
        }
        if number > args.deploys {
            continue;
        }
        let begun = Instant::now();
        all(Phase::Deploying);
        recorder.deploy_begins();
        let exit = Box::pin(redeploy(context, apps, image, Some(recorder))).await;
        recorder.deploy_ended();
        let exit = exit?;
        all(Phase::Steady);
        let took = begun.elapsed().as_secs_f64();
        errln!("deploy {number}/{}  {took:.1}s  {} requests, {} failed", args.deploys, sent(), lost());
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    steady(context, args.steady).await;
    while sent() < args.min_requests && Instant::now() < deadline && !context.signals.cancel.is_cancelled() {
        sleep(LOOK_INTERVAL).await;
    }
    Ok(Exit::Done)
}

async fn steady(context: &Context, time: Duration) {
    tokio::select! {
        () = sleep(time) => {}
        () = context.signals.cancel.cancelled() => {}
    }
}

/// One deploy of all apps. Only failures are shown, since the table at the end has the rest. With a recorder it runs
/// under load and also replaces unchanged apps.
async fn redeploy(
    context: &Context,
    apps: &[AppName],
    image: &ProxyImage,
    recorder: Option<&Arc<Recorder>>,
) -> Result<Exit, Failure> {
    let (force, sink) = (recorder.is_some(), failures_only(context, recorder.cloned()));
    let request = DeployRequest {
        project: &context.project,
        apps,
        options: DeployOptions { force, keep: Some(KEEP), canary: CanaryChoice::Off, ..DeployOptions::default() },
        proxy_image: image,
        operator: &context.operator,
        lock_wait: context.lock_wait,
    };
    let results = deploy(&context.run_into(sink), &request).await?;
    Ok(Exit::of(results.iter().map(|result| result.outcome), context.signals.exit()))
}

/// The address of an app behind the proxy.
struct Target {
    app: AppName,
    address: SocketAddr,
    host: String,
    prefix: String,
}

impl Target {
    fn of(context: &Context, app: &AppName) -> Result<Self, Failure> {
        let project = &context.project;
        let routes = project.apps.get(app).map_or(&[][..], |app| &app.routes);
        let mut concrete =
            routes.iter().filter(|route| route.host.as_deref().is_none_or(|host| !host.starts_with('*')));
        let is_secure = concrete.clone().next().is_some();
        let Some(route) = concrete.find(|route| !route.tls.as_ref().is_some_and(|tls| tls.redirect)) else {
            if is_secure {
                let message = format!("plain HTTP of app `{app}` is redirected, and the load speaks nothing else");
                let hint = "set `tls: { redirect: false }` for the time of the test, or add a route without `tls`";
                return Err(Failure::new(Exit::Refused, message).hint(hint));
            }
            let message = format!("app `{app}` has no route that a client could ask for");
            return Err(Failure::new(Exit::Refused, message)
                .hint("give it a `host` without `*`, or a `path`, in `x-deploy-apps.routes`"));
        };
        Ok(Self {
            app: app.clone(),
            address: remote::proxy_address(project, context.engine.about())?,
            host: route.host.clone().unwrap_or_else(|| "localhost".to_owned()),
            prefix: route.path.trim_end_matches('/').to_owned(),
        })
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

/// Requests each path once, as a wrong one would count as thousands of failures.
async fn check_paths(target: &Target, args: &DrainTestArgs) -> Result<(), Failure> {
    let client = reqwest::Client::builder()
        .timeout(CHECK_TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let gets = [Some(&args.get_path), args.events_path.as_ref()];
    let posts = [args.post_path.as_ref(), args.upload_path.as_ref()];
    let get = gets.into_iter().flatten().map(|path| (reqwest::Method::GET, path));
    let post = posts.into_iter().flatten().map(|path| (reqwest::Method::POST, path));
    for (method, path) in get.chain(post) {
        let url = format!("http://{}{}", target.address, target.path(path));
        let request = client.request(method.clone(), &url).header("host", &target.host);
        let request = if method == reqwest::Method::POST { request.body("deploy-apps") } else { request };
        let wrong = match request.send().await {
            Ok(answer) if answer.status().is_success() => continue,
            Ok(answer) => format!("status {}", answer.status().as_u16()),
            Err(error) => error.to_string(),
        };
        let message = format!("app `{}` does not answer {method} `{path}` with success: {wrong}", target.app);
        return Err(Failure::new(Exit::Usage, message)
            .hint("name a path that the app serves, see `deploy-apps drain-test --help`"));
    }
    Ok(())
}

fn config(target: &Target, args: &DrainTestArgs) -> LoadConfig {
    let long = args.long_clients as usize;
    // Half of the clients use POST if there is a path for it, a tenth of those after an idle time.
    let posting = if args.post_path.is_some() { args.clients as usize / 2 } else { 0 };
    let pooled = posting / 10;
    let mut config = LoadConfig::new(target.address, &target.host)
        .bounded(args.limit, MOST_REQUESTS)
        .keep_streams_for(args.stream_for)
        .send_every(args.clients as usize - posting, args.gap, Traffic::get(&target.path(&args.get_path)));
    if let Some(path) = &args.post_path {
        let path = target.path(path);
        config = config
            .send_every(posting - pooled, args.gap, Traffic::post(&path, Expect::Success))
            .send(pooled, Traffic::pooled_post(&path, Expect::Success, Duration::from_secs(10)));
    }
    if let Some(path) = &args.sleep_path {
        config = config.send(long, Traffic::sleeper(&target.path(path)));
    }
    if let Some(path) = &args.websocket_path {
        config = config.send(long, Traffic::websocket(&target.path(path)));
    }
    if let Some(path) = &args.events_path {
        config = config.send(long, Traffic::sse(&target.path(path)));
    }
    if let Some(path) = &args.upload_path {
        config = config.send(long, Traffic::upload(&target.path(path), 4 << 20, Duration::from_secs(5)));
    }
    config
}

fn print(context: &Context, args: &DrainTestArgs, parts: &[Part<'_>]) {
    if context.format == Format::Json {
        let part = |part: &Part<'_>| json!({ "app": part.app, "report": part.report, "course": part.course });
        let apps: Vec<_> = parts.iter().map(part).collect();
        outln!("{}", json!({ "v": 1, "deploys": args.deploys, "proxy_upgrades": args.proxy_upgrades, "apps": apps }));
        return;
    }
    for part in parts {
        let upgrades = if args.proxy_upgrades > 0 {
            format!(", {} replacements of the proxy", args.proxy_upgrades)
        } else {
            String::new()
        };
        outln!("\n{}: {} redeploys{upgrades} under load\n{}", part.app, args.deploys, part.report.table());
    }
}
