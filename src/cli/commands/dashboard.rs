//! `deploy-apps dashboard`

use std::io::{ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::history::{self, HistoryArgs};
use super::status::{self, StatusArgs, View};
use crate::cli::common::{CommonArgs, Format};
use crate::cli::context::{Context, load_request};
use crate::cli::exit::{Exit, Failure};
use crate::compose;
use crate::dashboard::{Dashboard, Sight, Source};
use crate::model::Project;
use crate::ports::InspectProxy;
use crate::proxy::ControlClient;

/// Runs shown per app, limited by the space on the page.
const RUNS: u16 = 10;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  deploy-apps dashboard                then open http://localhost:7880
  deploy-apps dashboard --port 0       on any port that is free; the first line says which
  ssh -L 7880:localhost:7880 HOST deploy-apps dashboard
                                       of a host elsewhere, in the browser here")]
pub struct DashboardArgs {
    /// The port on this machine's loopback; 0 is any free one
    #[arg(long, value_name = "PORT", default_value_t = 7880)]
    pub port: u16,
}

/// Serves the page until Ctrl-C, which is a success.
pub async fn run(context: Context, common: &CommonArgs, args: DashboardArgs) -> Result<Exit, Failure> {
    let dashboard = Dashboard::bind(args.port).await.map_err(|error| not_bound(args.port, &error))?;
    let url = dashboard.url();
    let line = match context.format {
        Format::Json => json!({ "v": 1, "project": context.project.name, "url": url }).to_string(),
        _ => url,
    };
    // The page stays up even if stdout is closed.
    drop(writeln!(std::io::stdout(), "{line}").and_then(|()| std::io::stdout().flush()));
    if context.format == Format::Text {
        errln!("live page of project `{}`, for this machine only; Ctrl-C ends it", context.project.name);
    }
    let cancelled = context.signals.cancel.clone();
    let eyes =
        Eyes { common: common.clone(), proxy: context.proxy(), project: Mutex::new(context.project.clone()), context };
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = dashboard.serve(eyes) => {}
    }
    Ok(Exit::Done)
}

fn not_bound(port: u16, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::AddrInUse => Failure::new(Exit::Failed, format!("port `{port}` of this machine is taken"))
            .hint("another dashboard may have it; `--port 0` takes any free one"),
        ErrorKind::PermissionDenied => Failure::new(Exit::Failed, format!("port `{port}` is not permitted: {error}"))
            .hint("take one above 1023, or `--port 0` for any free one"),
        _ => Failure::new(Exit::Failed, format!("port `{port}` cannot be listened on: {error}"))
            .hint("`--port 0` takes any free one"),
    }
}

/// Observes like `status` and `history`, repeatedly.
struct Eyes {
    context: Context,
    common: CommonArgs,
    proxy: ControlClient,
    /// The compose file as last read successfully: it may be edited while the page is open.
    project: Mutex<Project>,
}

/// An error on the page.
fn trouble(what: &str, failure: &Failure) -> Value {
    let message = failure.message.lines().next().unwrap_or_default();
    json!({ "what": what, "message": message, "hint": failure.hint })
}

impl Eyes {
    fn project(&self, troubles: &mut Vec<Value>) -> Project {
        let loaded = load_request(&self.common)
            .and_then(|request| compose::load(&request).map_err(Failure::from))
            .map(|loaded| loaded.project);
        let mut project = self.project.lock().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            // With another name it would be another project, with a proxy that this page does not observe.
            Ok(read) if read.name == project.name && read.proxy.name == project.proxy.name => *project = read,
            Ok(read) => {
                let message = format!("the compose file is of project `{}` now; start the dashboard again", read.name);
                troubles.push(trouble("file", &Failure::new(Exit::InvalidFile, message)));
            }
            Err(failure) => troubles.push(trouble("file", &failure)),
        }
        project.clone()
    }
}

impl Source for Eyes {
    async fn look(&self) -> Sight {
        let mut troubles = Vec::new();
        let project = self.project(&mut troubles);
        let view = View { project: &project, engine: &self.context.engine, proxy: &self.proxy };
        let what = StatusArgs { apps: Vec::new(), watch: false, no_drift: true };
        let past = HistoryArgs { apps: Vec::new(), limit: RUNS };
        let (status, (history, totals)) = tokio::join!(status::gather(view, &what), async {
            let history = history::gather(&project, &self.proxy, &past).await;
            // If one request fails, the other would fail too.
            let totals = match &history {
                Ok(_) => self.proxy.totals(&project.name).await.ok(),
                Err(_) => None,
            };
            (history, totals)
        });
        let mut text = Vec::new();
        match &status {
            Ok(status) => {
                text.extend(status.lines(false, None));
                // A host without a deploy has no proxy, which is not an error.
                if let (Some(error), Some(_)) = (&status.proxy.error, status.proxy.state) {
                    let failure = Failure::new(Exit::NoProxy, format!("proxy `{}`: {error}", status.proxy.name));
                    troubles.push(trouble("proxy", &failure));
                }
            }
            Err(failure) => {
                text.push(failure.to_string());
                troubles.push(trouble("engine", failure));
            }
        }
        if let Ok(history) = &history {
            text.push(String::new());
            text.extend(history.lines(&TimeZone::system(), None));
        }
        let mut fields = Map::new();
        fields.insert("at".to_owned(), Timestamp::now().to_string().into());
        fields.insert("project".to_owned(), project.name.to_string().into());
        fields.insert("trouble".to_owned(), troubles.into());
        fields.insert("status".to_owned(), status.map_or(Value::Null, |status| status.document()));
        fields.insert("history".to_owned(), history.map_or(Value::Null, |history| history.document()));
        Sight { fields, totals, text: text.join("\n") }
    }
}
