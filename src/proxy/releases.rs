//! What the proxy keeps of releases: read for many apps in one call.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::Call;
use super::client::ControlClient;
use super::wire::{AppsReleasesAnswer, ReleasesAnswer};
use crate::model::{AppKey, StoredRelease};
use crate::ports::ProxyError;

/// So many apps a call keep its answer below what a busy host takes long to read.
const APPS_AT_ONCE: usize = 25;

impl ControlClient {
    pub(super) async fn releases_of(
        &self,
        apps: &[AppKey],
    ) -> Result<BTreeMap<AppKey, Vec<StoredRelease>>, ProxyError> {
        let mut releases = BTreeMap::new();
        for portion in apps.chunks(APPS_AT_ONCE) {
            match portion {
                [app] => drop(releases.insert(app.clone(), self.of_one(app).await?)),
                _ => releases.extend(self.of_several(portion).await?),
            }
        }
        Ok(releases)
    }

    async fn of_several(&self, apps: &[AppKey]) -> Result<BTreeMap<AppKey, Vec<StoredRelease>>, ProxyError> {
        let names: Vec<String> = apps.iter().map(|app| format!("app={app}")).collect();
        let call = Call::get(format!("/v1/releases?{}", names.join("&")));
        match self.call::<AppsReleasesAnswer>(&call).await {
            Ok(answer) => Ok(answer.apps.into_iter().map(|(app, kept)| (app, understood(kept))).collect()),
            // A proxy of an earlier build takes one app a call.
            Err(ProxyError::Refused { code, .. }) if code == "invalid_release" => {
                let mut releases = BTreeMap::new();
                for app in apps {
                    releases.insert(app.clone(), self.of_one(app).await?);
                }
                Ok(releases)
            }
            Err(error) => Err(error),
        }
    }

    async fn of_one(&self, app: &AppKey) -> Result<Vec<StoredRelease>, ProxyError> {
        let answer: ReleasesAnswer = self.call(&Call::get(format!("/v1/releases?app={app}"))).await?;
        Ok(understood(answer.releases))
    }
}

/// One that a version to come has stored otherwise is for this version as if it were not there.
fn understood(documents: Vec<Value>) -> Vec<StoredRelease> {
    documents.into_iter().filter_map(|document| serde_json::from_value(document).ok()).collect()
}
