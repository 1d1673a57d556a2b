//! What is on disk: an acknowledged flip outlives the proxy's death, and damage is met with what is left.

use deploy_apps::model::{Generation, ObservedProxy};
use deploy_apps::plan::FlipChange;
use deploy_apps::ports::{Proxy, ProxyError};

use crate::world::{Setup, World, change, eventually, key};

async fn state(world: &World) -> ObservedProxy {
    world.control.state().await.expect("the state")
}

#[tokio::test]
async fn routes_and_history_survive_a_kill_without_anybody_helping() {
    let world = World::start().await;
    let (one, two) = (world.backend("one-r1").await, world.backend("two-r1").await);
    world.flip(&[world.serving("one", &[&one]), world.serving("two", &[&two])]).await;
    let mut record = world.serving("one", &[&one]);
    record.release.0 = 7;
    world.flip(&[record]).await;
    world
        .control
        .record(&key("two"), deploy_apps::model::ReleaseNumber(9), "started", Default::default())
        .await
        .unwrap();
    let before = state(&world).await;
    assert_eq!((before.apps[&key("one")].last_release.0, before.apps[&key("two")].last_release.0), (7, 9));

    world.kill().await;
    world.boot().await;
    assert_eq!(state(&world).await, before);
    assert_eq!(world.get("one.test", "/").await.backend(), "one-r1");
    assert_eq!(world.get("two.test", "/").await.backend(), "two-r1");
    let history = world.control.history(&key("two"), 10).await.expect("the history");
    assert_eq!(history[0]["event"], "started");

    // Generations go on where they were, so an old CLI's compare-and-swap still means what it meant.
    let removal = FlipChange { record: None, ..change(&world.serving("two", &[])) };
    let lease = world.lease(&["two"]).await.expect("a free lease");
    let expected = before.apps[&key("two")].generation;
    let generation = world.control.flip(&lease, &[removal], &[expected]).await.expect("a removal");
    assert_eq!(generation, Generation(before.generation.0 + 1));
    assert_eq!(world.get("two.test", "/").await.status, 404);
    drop(lease);
    world.kill().await;
    world.boot().await;
    assert_eq!(world.get("two.test", "/").await.status, 404, "a removed app came back");
    assert_eq!(
        state(&world).await.apps[&key("two")].last_release.0,
        9,
        "its release numbers are used up none the less"
    );
}

#[tokio::test]
async fn a_torn_last_line_is_a_flip_that_never_was() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    let before = state(&world).await;
    // Behind the last line; the file itself may go on with room for the next ones.
    world
        .exec(
            "cd /var/lib/deploy-apps && end=$(tr -d '\\000' < routes.journal.1 | wc -c) && \
             printf '0123abcd {\"generation\":2,\"at\":1,\"chan' | dd of=routes.journal.1 bs=1 seek=$end conv=notrunc",
        )
        .await;
    world.kill().await;
    world.boot().await;
    assert_eq!(state(&world).await, before);
    eventually("it is said", async || world.logs().await.contains("is torn and left out")).await;

    // The next flip is written over the torn one, not behind it.
    world.flip(&[world.serving("app", &[&backend]), world.serving("more", &[&backend])]).await;
    let after = state(&world).await;
    world.kill().await;
    world.boot().await;
    assert_eq!(state(&world).await, after);
}

#[tokio::test]
async fn a_corrupt_line_is_left_out_alone_and_kept_for_a_human() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    for app in ["one", "two", "three"] {
        world.flip(&[world.serving(app, &[&backend])]).await;
    }
    world.exec("sed -i '2s/two/owt/' /var/lib/deploy-apps/routes.journal.1").await;
    world.kill().await;
    world.boot().await;
    assert_eq!(world.get("one.test", "/").await.status, 200);
    assert_eq!(world.get("two.test", "/").await.status, 404);
    assert_eq!(world.get("three.test", "/").await.status, 200);
    assert!(world.exec("ls /var/lib/deploy-apps").await.contains(".corrupt-"), "no copy was kept aside");
}

#[tokio::test]
async fn a_full_disk_refuses_the_flip_and_changes_nothing() {
    let world = World::with(Setup { state_size: Some("4m"), ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    world.exec("dd if=/dev/zero of=/var/lib/deploy-apps/filler bs=64k count=1000").await;

    // The journal may have room in reserve: flips of some 100 kB each use that up.
    let lease = world.lease(&["app"]).await.expect("a free lease");
    let mut record = world.serving("app", &[&backend]);
    record.peers.extend((0..800).map(|number| world.peer(&format!("app-r2-{number}"), backend.port)));
    let flip = async |record: &_, expected| world.control.flip(&lease, &[change(record)], &[expected]).await;
    let mut before = state(&world).await;
    let mut refused = None;
    for release in 2..40 {
        record.release.0 = release;
        match flip(&record, before.generation).await {
            Ok(_) => before = state(&world).await,
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    assert!(
        matches!(&refused, Some(ProxyError::PersistFailed { message }) if message.contains("no space left")),
        "{refused:?}"
    );
    assert!(state(&world).await == before, "a refused flip left something behind");
    assert_eq!(world.get("app.test", "/").await.backend(), "r1");

    world.exec("rm /var/lib/deploy-apps/filler").await;
    flip(&record, before.generation).await.expect("space again");
    assert_eq!(state(&world).await.apps[&key("app")].record.as_ref(), Some(&record));
}
