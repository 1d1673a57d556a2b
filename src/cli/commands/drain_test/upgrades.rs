//! Replaces the proxy under load, as `deploy-apps proxy upgrade --force` does.

use tokio::time::Instant;

use super::sink::failures_only;
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::plan::ProxyImage;
use crate::rollout::{await_retired, upgrade_certificates, upgrade_proxy};

/// The replacements of the proxy so far.
#[derive(Debug, Default)]
pub(super) struct Upgrades {
    are_retiring: bool,
}

impl Upgrades {
    /// Before there is load: a proxy that cannot hand over yet, or is of another build, is replaced with whatever gap that needs.
    pub(super) async fn prepare(context: &Context, image: &ProxyImage) -> Result<(), Failure> {
        upgrade_proxy(
            &context.run_into(failures_only(context, None)),
            &context.project.proxy,
            image,
            context.lock_wait,
            false,
        )
        .await?;
        Ok(())
    }

    /// Replaces it once. Returns how long it took until the next one served, in seconds.
    pub(super) async fn replace(&mut self, context: &Context, image: &ProxyImage) -> Result<f64, Failure> {
        let (run, spec) = (context.run_into(failures_only(context, None)), &context.project.proxy);
        let begun = Instant::now();
        let upgraded = upgrade_proxy(&run, spec, image, context.lock_wait, true).await?;
        self.are_retiring |= upgraded.is_some_and(|upgraded| upgraded.retiring.is_some());
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Waits for the end of those that retire, and leaves no container of theirs.
    pub(super) async fn finish(&mut self, context: &Context, image: &ProxyImage) -> Result<(), Failure> {
        if !self.are_retiring {
            return Ok(());
        }
        let (run, spec) = (context.run_into(failures_only(context, None)), &context.project.proxy);
        upgrade_certificates(&run, spec, image).await?;
        if !await_retired(&run, spec).await? {
            errln!("the proxy of before still has connections; the next `proxy upgrade` removes its container");
        }
        Ok(())
    }
}
