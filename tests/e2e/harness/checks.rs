//! Checks that must hold after every fault, and the load that proves them.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_apps::load::{Expect, Load, LoadConfig, Traffic};
use deploy_apps::ports::Engine;

use super::{DEADLINE, Host, eventually};

/// Enough requests to hit every phase of a deploy, and few enough to run several tests at once.
const GAP: Duration = Duration::from_millis(10);

impl Host {
    /// Load that no fault may disturb: GET and POST on keep-alive connections, without retries.
    pub async fn steady_load(&self, app: &str) -> Load {
        self.patient_load(app, self.load(app).timeout).await
    }

    /// The same with a longer timeout, for an app whose requests are held.
    pub async fn patient_load(&self, app: &str, timeout: Duration) -> Load {
        let config = LoadConfig { timeout, ..self.load(app) };
        let config = config
            .send_every(3, GAP, Traffic::get("/"))
            .send_every(3, GAP, Traffic::post("/upload", Expect::ByteCount))
            .send(2, Traffic::pooled_post("/upload", Expect::ByteCount, Duration::from_secs(1)));
        let load = self.start(config).await;
        eventually("the load flows", DEADLINE, async || (load.progress().requests > 20).then_some(())).await;
        load
    }

    /// Asserts that exactly these containers exist and run, and that no removed one has open requests.
    #[track_caller]
    pub fn is_clean<'h>(&'h self, wanted: &[&str]) -> impl Future<Output = ()> + use<'h> {
        let running = self.runs(wanted);
        let names: BTreeSet<String> = wanted.iter().map(|name| format!("{}-{name}", self.name())).collect();
        let caller = std::panic::Location::caller();
        async move {
            running.await;
            let state = self.proxy_state().await;
            let stale: Vec<_> = state.in_flight.iter().filter(|(peer, _)| !names.contains(*peer)).collect();
            assert!(stale.is_empty(), "{caller}: open requests on what is gone: {stale:?}");
        }
    }

    /// The releases of an app whose images exist, such as `r1`.
    pub async fn image_tags(&self, app: &str) -> BTreeSet<String> {
        let observed =
            self.engine.observe(&self.name().parse().expect("a name")).await.expect("an engine that answers");
        let tags = observed.images.into_iter().flat_map(|image| image.tags);
        let prefix = format!("deploy-apps/{}-{app}:", self.name());
        tags.filter_map(|tag| tag.strip_prefix(&prefix).map(str::to_owned)).collect()
    }
}
