//! The end of a takeover: the port goes from docker compose's container to the proxy.

use tokio::time::Instant;

use super::executor::Executor;
use super::failure::DeployError;
use super::request::DeployRequest;
use super::result::AppResult;
use super::run::Run;
use super::scope::Scope;
use super::undo::Undo;
use crate::event::Outcome;
use crate::plan::{Stage, Step, is_begun, plan_hand_over, port_holders};
use crate::ports::{Engine, Proxy};

/// Hands the port over when every app that held it serves through the proxy. Where one does not, compose's container
/// serves on.
///
/// # Errors
/// When the proxy cannot have the port; compose's container then serves again.
pub(super) async fn hand_over<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &DeployRequest<'_>,
    results: &[AppResult],
) -> Result<(), DeployError> {
    let project = request.project;
    let engine = run.engine().observe(&project.proxy.name).await?;
    if !is_begun(project, request.proxy_image, &engine) {
        return Ok(());
    }
    let holders = port_holders(project, &engine);
    let serves = |app: &AppResult| {
        matches!(app.outcome, Outcome::Completed | Outcome::CompletedWithLeftovers | Outcome::UpToDate)
    };
    for holder in &holders {
        let app = holder.container.labels.service.as_ref();
        if !results.iter().any(|result| Some(&result.app.app) == app && serves(result)) {
            let name = &holder.container.name;
            let message = format!("`{name}`, which docker compose made, serves port {} on", project.proxy.http_port);
            run.events().warn(None, message);
            return Ok(());
        }
    }
    // What never served through the proxy alone has no port to lose.
    if holders.is_empty() && !results.iter().any(serves) {
        return Ok(());
    }
    let stages = plan_hand_over(project, request.proxy_image, &engine)?;
    let scope = Scope::shared_by(&stages);
    let (before, from_stop) = stages.split_at(stages.iter().position(stops_a_holder).unwrap_or(0));
    let mut result = Executor::new(run, None, &scope).stages(before, run.stop().by_user()).await;
    let begun = Instant::now();
    if result.is_ok() {
        let (gap, rest) = from_stop.split_at(from_stop.len().min(2));
        result = Executor::new(run, None, &scope).stages(gap, run.stop().by_user()).await;
        let took = begun.elapsed();
        if result.is_ok() {
            if !holders.is_empty() {
                let names: Vec<&str> = holders.iter().map(|holder| holder.container.name.as_str()).collect();
                let message = format!(
                    "port {} went from `{}` to the proxy in {:.1}s",
                    project.proxy.http_port,
                    names.join("`, `"),
                    took.as_secs_f64()
                );
                run.events().warn(None, message);
            }
            // The port has its new owner: what is left of the old one is not worth giving it back.
            if let Err(failure) =
                Executor::new(run, None, &Scope::shared_by(rest)).stages(rest, run.stop().by_user()).await
            {
                run.events().warn(None, failure.message);
            }
        }
    }
    match result {
        Ok(()) => Ok(()),
        Err(failure) => {
            Undo::new(run, None, &scope).all().await;
            Err(DeployError::Setup(failure))
        }
    }
}

fn stops_a_holder(stage: &Stage) -> bool {
    stage.steps().any(|planned| matches!(planned.step, Step::StopContainer { restart: Some(_), .. }))
}
