//! What holds after every step, whatever was done in it.

use std::collections::{BTreeMap, BTreeSet};

use deploy_apps::load::Cause;

use crate::fleet::Fleet;
use crate::harness::{Answer, DEADLINE, eventually};
use crate::schedule::APPS;

/// What a fault must cost: requests that are lost for these causes, at most so many of each app.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Excuse {
    pub causes: &'static [Cause],
    pub at_most: [u64; APPS.len()],
    /// The app whose next requests may go to a kept connection that leads nowhere, also those that ask what it serves.
    pub may_hang: Option<usize>,
}

/// The requests of one step, over all apps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub sent: u64,
    /// Excused.
    pub by_fault: u64,
    pub otherwise: u64,
}

/// `results` has what each app answered, and what it lost by cause.
pub fn judge(results: &[(u64, BTreeMap<Cause, u64>)], excuse: &Excuse) -> Tally {
    let mut tally = Tally::default();
    for ((ok, failed), at_most) in results.iter().zip(excuse.at_most) {
        let all: u64 = failed.values().sum();
        let by_fault = excused(failed, excuse.causes).min(at_most);
        tally.sent += ok + all;
        tally.by_fault += by_fault;
        tally.otherwise += all - by_fault;
    }
    tally
}

fn excused(failed: &BTreeMap<Cause, u64>, causes: &[Cause]) -> u64 {
    causes.iter().filter_map(|cause| failed.get(cause)).sum()
}

/// Asked on connections of their own, each app answers from the replicas that its record names, `status` says the same,
/// and all of them are one release that may serve now.
pub async fn serves_what_the_proxy_says(fleet: &Fleet, excuse: &Excuse) {
    let status = eventually("`status` has an answer of the proxy", DEADLINE, async || {
        // It gives the proxy five seconds, which a machine under several builds may need longer than.
        let output = fleet.run(&["status", "--format", "json"]).await;
        (output.code != Some(8)).then(|| output.succeeded().document("status"))
    });
    let status = status.await;
    for (app, name) in APPS.into_iter().enumerate() {
        let may_hang = excuse.may_hang == Some(app);
        let record = fleet.host.record(name).await.expect("a record");
        let peers: BTreeSet<String> =
            record.peers.iter().map(|peer| format!("({}, replica {})", peer.release, peer.replica)).collect();
        assert!(record.peers.iter().all(|peer| peer.release == record.release), "one release: {record:?}");
        for _ in 0..6 {
            let answer = asked(fleet, name, "/", may_hang).await;
            let is_known = peers.iter().any(|peer| answer.body.ends_with(peer.as_str()));
            assert!(answer.status == 200 && is_known, "`{name}` answers {answer:?}, and its record says {peers:?}");
            assert!(answer.body.contains(&format!(" {name} ")), "the answer of another app: {answer:?}");
        }
        let mark = asked(fleet, name, "/mark", may_hang).await.body;
        let may_serve = &fleet.apps[app].may_serve;
        assert!(may_serve.contains(&mark), "`{name}` serves `{mark}`, and only {may_serve:?} may serve");
        let shown = status["apps"].as_array().and_then(|all| all.iter().find(|one| one["app"] == name));
        assert_eq!(shown.expect("the app")["release"], record.release.0, "what `status` says of `{name}`: {status}");
    }
}

/// Where the fault may cost a client its patience, it may cost ours too: then it is asked again.
async fn asked(fleet: &Fleet, name: &str, path: &str, may_hang: bool) -> Answer {
    if may_hang {
        return eventually("an answer", DEADLINE, async || fleet.host.try_get(name, path).await).await;
    }
    fleet.host.get(name, path).await
}

/// Once a plain deploy is through: the containers are those of the records and run, as many as are wanted.
pub async fn nothing_is_left(fleet: &Fleet) {
    let mut serving = Vec::new();
    for (app, name) in APPS.into_iter().enumerate() {
        let record = fleet.host.record(name).await.expect("a record");
        assert_eq!(record.peers.len(), fleet.apps[app].replicas, "the replicas of `{name}`: {record:?}");
        serving.extend(record.peers.into_iter().map(|peer| peer.id));
    }
    let prefix = format!("{}-", fleet.host.name());
    let names: Vec<&str> = serving.iter().filter_map(|name| name.strip_prefix(&prefix)).collect();
    fleet.host.is_clean(&names).await;
    let all = eventually("one nginx is left", DEADLINE, async || {
        let all = fleet.engine.docker(&["ps", "-a", "--format", "{{.Names}}"]);
        let is_one = fleet.nginx().len() == 1;
        if !is_one {
            fleet.run(&["proxy", "upgrade"]).await.succeeded();
        }
        is_one.then_some(all)
    })
    .await;
    assert_eq!(all.lines().count(), serving.len() + 2, "the replicas, the proxy and its nginx, nothing else:\n{all}");
}

/// No request is open any more, so none may be counted.
pub async fn nothing_is_counted(fleet: &Fleet) {
    let nothing = async || fleet.host.proxy_state().await.in_flight.is_empty().then_some(());
    eventually("nothing is counted as open", DEADLINE, nothing).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: &[Cause] = &[Cause::Reset, Cause::Status(502)];

    fn failed(causes: &[(Cause, u64)]) -> BTreeMap<Cause, u64> {
        causes.iter().copied().collect()
    }

    #[test]
    fn only_the_named_causes_are_excused() {
        let failed = failed(&[(Cause::Reset, 2), (Cause::Status(502), 3), (Cause::Status(503), 4), (Cause::Eof, 5)]);
        assert_eq!(excused(&failed, LOST), 5);
        assert_eq!(excused(&failed, &[]), 0);
    }

    #[test]
    fn what_is_more_than_a_fault_must_cost_is_not_excused_nor_what_a_neighbour_lost() {
        let results = [(100, failed(&[(Cause::Reset, 7)])), (100, failed(&[(Cause::Reset, 1)])), (100, failed(&[]))];
        let excuse = Excuse { causes: LOST, at_most: [5, 0, 5], ..Excuse::default() };
        assert_eq!(judge(&results, &excuse), Tally { sent: 308, by_fault: 5, otherwise: 3 });
        assert_eq!(judge(&results, &Excuse::default()), Tally { sent: 308, by_fault: 0, otherwise: 8 });
    }
}
