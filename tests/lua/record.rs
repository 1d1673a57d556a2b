//! An app's record in the proxy: every field that the CLI knows is taken, kept and told as it was sent.

use deploy_apps::model::{AppRecord, Features};
use deploy_apps::ports::Proxy;

use crate::full_record::full_record;
use crate::world::{World, key};

async fn kept(world: &World, app: &str) -> AppRecord {
    world.control.state().await.expect("the state").apps[&key(app)].record.clone().expect("a record")
}

#[tokio::test]
async fn every_field_comes_back_as_it_was_sent() {
    let world = World::start().await;
    assert_eq!(world.control.state().await.expect("the state").features, Features::all());
    let (full, bare) = (full_record(), world.record("bare", Vec::new()));
    world.flip(&[full.clone(), bare.clone()]).await;
    assert_eq!((kept(&world, "full").await, kept(&world, "bare").await), (full.clone(), bare.clone()));
    world.kill().await;
    world.boot().await;
    assert_eq!((kept(&world, "full").await, kept(&world, "bare").await), (full, bare), "read from the disk");
}

/// As the first proxies wrote it: without fields that came later, and with null where there was nothing.
#[tokio::test]
async fn state_of_older_and_newer_proxies_is_read() {
    let world = World::start().await;
    let record = |app: &str, more: &str| {
        format!(
            r#""t/{app}":{{"generation":3,"last_release":1,"record":{{"project":"t","app":"{app}","release":1,"version":"1.0.0+1","routes":[{{"host":"{app}.test","path":"/"}},{{"host":null,"path":"/{app}","strip":true}}],{more}"peers":[{{"id":"w","address":"10.213.4.7","port":null,"release":1,"replica":1,"version":"1"}}]}}}}"#
        )
    };
    let newer = r#""balance":"round_robin","hold_ms":5,"scale":null,"of_tomorrow":{"a":[1]},"#;
    let snapshot = format!(
        r#"{{"format":1,"generation":3,"journal":1,"apps":{{{},{}}}}}"#,
        record("old", ""),
        record("new", newer)
    );
    world
        .exec(&format!(
            "printf '%s' '{snapshot}' > /var/lib/deploy-apps/routes.json && rm -f /var/lib/deploy-apps/routes.journal.*"
        ))
        .await;
    world.kill().await;
    world.boot().await;
    let (old, new) = (kept(&world, "old").await, kept(&world, "new").await);
    let mut expected = world.record("old", vec![world.peer("w", 1)]);
    expected.routes.push(deploy_apps::model::Route { host: None, path: "/old".to_owned(), strip: true, tls: None });
    (expected.peers[0].port, expected.peers[0].version) = (None, "1".to_owned());
    expected.peers[0].address = "10.213.4.7".parse().expect("an address");
    assert_eq!(old, expected);
    assert_eq!((new.hold_ms, new.scale, new.settings.changed(&old.settings).count()), (5, None, 1));
}
