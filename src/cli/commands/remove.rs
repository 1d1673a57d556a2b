//! `deploy-apps remove APP…`

use clap::Args;
use serde_json::json;

use crate::cli::common::Format;
use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::model::{AppName, ObservedEngine, ObservedProxy, Project};
use crate::plan::{Planned, Removal, RemoveOptions, accessories_on_host, deployed_apps};
use crate::rollout::{RemovalScope, RemoveRequest, look_at_removal, remove};

#[derive(Debug, Clone, Args)]
pub struct RemoveArgs {
    /// The apps to take away, and accessories that are not in the compose file any more
    #[arg(value_name = "APP", required = true)]
    pub apps: Vec<String>,
    #[command(flatten)]
    pub removal: RemovalArgs,
}

/// What `remove` and `down` have in common.
#[derive(Debug, Clone, Copy, Args)]
pub struct RemovalArgs {
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    pub yes: bool,
    /// Also the project's named volumes that nothing else uses, with their data
    #[arg(long)]
    pub volumes: bool,
    /// Also the images of all releases; nothing can be rolled back to afterwards
    #[arg(long)]
    pub images: bool,
    /// Print every step and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl RemovalArgs {
    pub fn options(self) -> RemoveOptions {
        RemoveOptions { volumes: self.volumes, images: self.images }
    }
}

/// Removes the named apps. One that is not deployed is reported but is not an error, so a pipeline can repeat the
/// command.
pub async fn run(context: &Context, args: &RemoveArgs) -> Result<Exit, Failure> {
    let mut names = Vec::new();
    for text in &args.apps {
        let name = text.parse::<AppName>().map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let goal = RemovalScope::Apps { names: &names, options: args.removal.options() };
    let request = request(context, goal);
    let run = context.run();
    let (engine, proxy, removal) = look_at_removal(&run, &request).await?;
    for name in &names {
        check(&context.project, name, &engine, &proxy)?;
    }
    let accessories = accessories_on_host(&context.project.name, &engine);
    let absent =
        |name: &&AppName| !accessories.contains(*name) && !removal.apps.iter().any(|app| app.app.app == **name);
    for name in names.iter().filter(absent) {
        errln!("app `{name}` is not deployed");
    }
    carry_out(context, &request, args.removal, &removal).await
}

pub(super) fn request<'a>(context: &'a Context, goal: RemovalScope<'a>) -> RemoveRequest<'a> {
    RemoveRequest { project: &context.project, goal, operator: &context.operator, lock_wait: context.lock_wait }
}

/// Asks for confirmation, removes, and reports the outcome.
pub(super) async fn carry_out(
    context: &Context,
    request: &RemoveRequest<'_>,
    args: RemovalArgs,
    removal: &Removal,
) -> Result<Exit, Failure> {
    if args.dry_run {
        return Ok(show(context, removal));
    }
    if removal.is_empty() {
        return Ok(Exit::Done);
    }
    if !confirm(context, &removal.summary(), args.yes).await? {
        if context.signals.cancel.is_cancelled() {
            return Ok(context.signals.exit());
        }
        errln!("nothing was removed");
        return Ok(Exit::Done);
    }
    let result = remove(&context.run(), request).await;
    context.reporter.finish();
    let removed = match result {
        Ok(removed) => removed,
        Err(_) if context.signals.cancel.is_cancelled() => return Ok(context.signals.exit()),
        Err(error) => return Err(error.into()),
    };
    let outcomes = removed.apps.iter().map(|result| result.outcome).chain(removed.rest);
    Ok(Exit::of(outcomes, context.signals.exit()))
}

/// Prints the plan to stdout.
fn show(context: &Context, removal: &Removal) -> Exit {
    match context.format {
        Format::Text | Format::Yaml | Format::Github | Format::Gitlab | Format::Markdown => out!("{removal}"),
        Format::Json => {
            let text = |planned: &Planned| planned.step.to_string();
            let apps = removal.apps.iter().map(|app| {
                let steps: Vec<String> = app.steps().map(text).collect();
                json!({ "app": app.app, "release": app.from, "steps": steps })
            });
            let then: Vec<String> = removal.then().map(text).collect();
            outln!("{}", json!({ "v": 1, "apps": apps.collect::<Vec<_>>(), "then": then }));
        }
    }
    Exit::Done
}

/// Refuses a name that neither the compose file nor the host knows: it is probably mistyped.
fn check(project: &Project, name: &AppName, engine: &ObservedEngine, proxy: &ObservedProxy) -> Result<(), Failure> {
    let accessories = accessories_on_host(&project.name, engine);
    let is_dormant = project.dormant.contains(name) && accessories.contains(name);
    if !project.remembered && (project.accessories.contains_key(name) || is_dormant) {
        return Err(Failure::new(Exit::Usage, format!("`{name}` is an accessory of the compose file, not an app"))
            .hint(
                "`deploy-apps down` removes it together with its project; alone it goes when the file has it no more",
            ));
    }
    let mut deployed = deployed_apps(&project.name, engine, proxy);
    let is_history = proxy.apps.contains_key(&project.key(name));
    deployed.extend(accessories.into_iter().cloned());
    let is_known = project.apps.contains_key(name) || deployed.contains(name) || is_history;
    if is_known {
        return Ok(());
    }
    let message = format!("app `{name}` is neither in the compose file nor on the host");
    let names = deployed.iter().map(|app| format!("`{app}`")).collect::<Vec<_>>().join(", ");
    Err(Failure::new(Exit::Usage, message).hint(match deployed.is_empty() {
        true => format!("nothing of project `{}` is deployed", project.name),
        false => format!("deployed are {names}"),
    }))
}
