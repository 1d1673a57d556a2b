//! `deploy-apps APP…`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::common::{duration, replicas};
use crate::cli::context::Context;
use crate::cli::error_report;
use crate::cli::exit::{Exit, Failure};
use crate::cli::published;
use crate::compose;
use crate::local;
use crate::model::{AppName, Project, Share};
use crate::plan::{CanaryChoice, DeployOptions, Intent, SavedPlan, SavedPlanError};
use crate::rollout::deploy;
use crate::rollout::{DeployRequest, deploy_saved};

/// Covers several failed releases in a row without filling disks.
pub(super) const KEEP: u32 = 5;
/// The proxy remembers the last 50 releases that served.
pub(super) const MOST_KEPT: i64 = 40;

#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    pub desired: SelectionArgs,
    /// Run a plan saved by `plan --out FILE`; refused when the state has changed since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["apps", "all", "force", "atomic", "canary", "no_canary", "replicas", "no_backup"])]
    pub plan_file: Option<PathBuf>,
}

impl DeployArgs {
    /// The apps named here or in the saved plan. Errors in the plan are reported when it is run.
    pub fn named(&self) -> Vec<String> {
        let text = self.plan_file.as_ref().and_then(|file| local::text(file, LARGEST_PLAN).ok());
        match text.and_then(|text| SavedPlan::parse(&text).ok()) {
            Some(saved) => saved.apps.iter().map(ToString::to_string).collect(),
            None => self.desired.apps.clone(),
        }
    }
}

/// What a deploy is asked for; `plan` is asked the same.
#[derive(Debug, Clone, Args)]
pub struct SelectionArgs {
    /// The apps to deploy; an accessory that is named is created, or replaced if it has changed
    #[arg(value_name = "APP")]
    pub apps: Vec<String>,
    /// Deploy every app and create every missing accessory; of those with profiles, the ones that `--profile` or $COMPOSE_PROFILES activates
    #[arg(long, conflicts_with = "apps")]
    pub all: bool,
    /// Redeploy also what has not changed
    #[arg(long)]
    pub force: bool,
    /// Flip all named apps in one call, or none of them
    #[arg(long)]
    pub atomic: bool,
    /// Try the new release on a rising share of the requests first, and abort when it is worse than what serves; WEIGHTS such as
    /// `5%,25%`, else those of the compose file
    #[arg(long, value_name = "WEIGHTS", require_equals = true, value_parser = weights)]
    pub canary: Option<Option<Weights>>,
    /// How long each step of the canary takes
    #[arg(long = "for", value_name = "DURATION", value_parser = positive, requires = "canary")]
    pub canary_for: Option<Duration>,
    /// Deploy without the canary that the compose file has
    #[arg(long, conflicts_with = "canary")]
    pub no_canary: bool,
    /// Scale to this number of replicas at the same time, as `scale` would
    #[arg(long, value_name = "N", value_parser = replicas, allow_hyphen_values = true)]
    pub replicas: Option<u32>,
    /// Replace accessories without the backup that the compose file has for them
    #[arg(long)]
    pub no_backup: bool,
    /// How many releases besides the serving one stay for a rollback; older ones are pruned after a deploy
    #[arg(long, value_name = "N", default_value_t = KEEP, value_parser = clap::value_parser!(u32).range(..=MOST_KEPT))]
    pub keep: u32,
    /// Leave all old releases as they are
    #[arg(long, conflicts_with = "keep")]
    pub no_prune: bool,
}

/// Weights of a canary's steps.
#[derive(Debug, Clone)]
pub struct Weights(Vec<Share>);

fn weights(text: &str) -> Result<Weights, String> {
    let shares = text.split(',').map(str::parse).collect::<Result<Vec<Share>, _>>().unwrap_or_default();
    let rises = shares.is_sorted_by(|before, after| before < after);
    if rises && !shares.is_empty() && shares.iter().all(|share| share.is_part()) {
        return Ok(Weights(shares));
    }
    Err("rising shares between 0% and 100%, such as `5%,25%,50%`".to_owned())
}

fn positive(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|duration| match duration {
        Duration::ZERO => Err("longer than zero, such as `2m`".to_owned()),
        duration => Ok(duration),
    })
}

impl SelectionArgs {
    pub fn options(&self) -> DeployOptions {
        DeployOptions {
            force: self.force,
            atomic: self.atomic,
            replicas: self.replicas,
            no_backup: self.no_backup,
            keep: (!self.no_prune).then_some(self.keep),
            // `--all` does not replace accessories such as databases.
            keep_accessories: self.apps.is_empty(),
            intent: Intent::Deploy,
            canary: match &self.canary {
                _ if self.no_canary => CanaryChoice::Off,
                Some(weights) => CanaryChoice::On {
                    weights: weights.clone().map(|weights| weights.0).unwrap_or_default(),
                    duration: self.canary_for,
                },
                None => CanaryChoice::File,
            },
            proxy_image: String::new(),
        }
    }

    /// The services to deploy.
    ///
    /// # Errors
    /// When a name is unknown, or options contradict each other.
    pub fn services(&self, project: &Project) -> Result<Vec<AppName>, Failure> {
        if self.apps.is_empty() && !project.apps.is_empty() {
            return Ok(project.apps.keys().chain(project.accessories.keys()).cloned().collect());
        }
        let names = compose::select_services(project, &self.apps)?;
        let accessory = names.iter().find(|name| project.accessories.contains_key(*name));
        match (accessory, self.replicas) {
            (Some(name), Some(_)) => {
                Err(Failure::new(Exit::Usage, format!("`{name}` is an accessory, and has no replicas"))
                    .hint("`--replicas` goes with apps: services with an `x-deploy-apps` block"))
            }
            _ => Ok(names),
        }
    }
}

/// Deploys the named apps and reports the outcome of each.
pub async fn run(context: &Context, args: &DeployArgs) -> Result<Exit, Failure> {
    let Some(file) = &args.plan_file else {
        let apps = named(context, &args.desired)?;
        return carry_out(context, &apps, args.desired.options(), None).await;
    };
    let saved = saved_plan(context, file)?;
    carry_out(context, &saved.apps, saved.options.clone(), Some(&saved)).await
}

/// Shared by all commands that change serving apps: plan, execute, and map the outcome to an exit code. With a saved
/// plan, execute exactly that plan.
pub async fn carry_out(
    context: &Context,
    apps: &[AppName],
    options: DeployOptions,
    saved: Option<&SavedPlan>,
) -> Result<Exit, Failure> {
    let request = DeployRequest {
        project: &context.project,
        apps,
        options,
        proxy_image: &context.proxy_image(),
        operator: &context.operator,
        lock_wait: context.lock_wait,
    };
    let result = match saved {
        Some(saved) => deploy_saved(&context.run(), &request, saved).await,
        None => deploy(&context.run(), &request).await,
    };
    context.reporter.finish();
    let results = match result {
        Ok(results) => results,
        Err(_) if context.signals.cancel.is_cancelled() => return Ok(context.signals.exit()),
        Err(error) => return Err(error.into()),
    };
    if !context.signals.cancel.is_cancelled() {
        let answer = published::ask(&context.project, context.engine.about()).await;
        if let Some(warning) = published::warning(&context.project, &answer) {
            error_report::warn(&warning, context.format);
        }
    }
    Ok(Exit::of(results.iter().map(|result| result.outcome), context.signals.exit()))
}

/// Size limit of a saved plan. Plans with thousands of apps are far smaller.
const LARGEST_PLAN: u64 = 64 << 20;

/// Reads a saved plan and checks that it belongs to this project.
fn saved_plan(context: &Context, file: &Path) -> Result<SavedPlan, Failure> {
    let save = "`deploy-apps plan --out FILE` saves one";
    let shown = file.display();
    let text = local::text(file, LARGEST_PLAN)
        .map_err(|error| Failure::new(Exit::Usage, format!("`{shown}` {error}")).hint(save))?;
    let saved = SavedPlan::parse(&text).map_err(|error| {
        let hint = match error {
            SavedPlanError::Newer { .. } => {
                "install the deploy-apps that saved it, or save the plan again with this one"
            }
            SavedPlanError::Foreign | SavedPlanError::Damaged { .. } => save,
        };
        Failure::new(Exit::Usage, format!("`{shown}` {error}")).hint(hint)
    })?;
    let project = &context.project;
    for (what, planned, here) in [
        ("project", saved.project.as_str(), project.name.as_str()),
        ("proxy", saved.proxy.as_str(), project.proxy.name.as_str()),
    ] {
        if planned != here {
            let message = format!("`{shown}` is a plan for {what} `{planned}`, and the compose file's is `{here}`");
            return Err(Failure::new(Exit::StateChanged, message).hint(save));
        }
    }
    if let Some(gone) = saved.apps.iter().find(|name| project.service(name).is_none()) {
        let message = format!("`{shown}` is a plan for `{gone}`, which the compose file no longer has");
        return Err(Failure::new(Exit::StateChanged, message).hint(save));
    }
    Ok(saved)
}

fn named(context: &Context, args: &SelectionArgs) -> Result<Vec<AppName>, Failure> {
    if args.apps.is_empty() && !args.all && !context.project.apps.is_empty() {
        let known = context.project.apps.keys().map(|app| format!("`{app}`")).collect::<Vec<_>>().join(", ");
        return Err(
            Failure::new(Exit::Usage, "no app is named").hint(format!("name one or more of {known}, or use `--all`"))
        );
    }
    args.services(&context.project)
}
