//! Routes that change hands under load: two apps swap theirs, and an app takes over from another one.

use serde_json::json;

use crate::harness::{App, Scenario, none_lost};

fn with_host(app: App, host: &str) -> App {
    app.set("/x-deploy-apps/routes", json!([{ "host": format!("{host}.localhost") }]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_apps_swap_their_routes_in_one_flip() {
    let one = with_host(App::new("one"), "one");
    let two = with_host(App::new("two"), "two");
    let mut host = Scenario::new("swap").app(one).app(two).start().await;
    host.deploy(&["one", "two"]).await.succeeded();
    let loads = [host.start(host.steady("one")).await, host.start(host.steady("two")).await];

    host.change("one", |app| with_host(app, "two"));
    host.change("two", |app| with_host(app, "one"));
    let refused = host.deploy(&["one", "two"]).await.exited(6);
    refused.says("`deploy-apps --atomic two one` flips both in one call");
    host.deploy(&["one", "two", "--atomic"]).await.succeeded();
    for load in loads {
        none_lost(&load.stop().await);
    }
    for (app, wanted) in [("one", "two.localhost/"), ("two", "one.localhost/")] {
        let record = host.record(app).await.expect("a record");
        assert_eq!(record.routes.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
    }
    host.runs(&["one-r1-1", "two-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_app_takes_over_in_one_flip_and_the_old_one_drains() {
    let mut host = Scenario::new("rename").app(with_host(App::new("old").replicas(2), "shop")).start().await;
    host.deploy(&["old"]).await.succeeded();
    let load = host.start(host.steady("shop")).await;

    host.forget("old");
    host.add(with_host(App::new("new").replicas(2), "shop"));
    let refused = host.deploy(&["new"]).await.exited(6);
    refused.says("`x-deploy-apps.replaces: old` takes over from it in one flip");
    host.change("new", |app| app.set("/x-deploy-apps/replaces", json!("old")));
    host.deploy(&["new"]).await.succeeded();
    none_lost(&load.stop().await);
    assert!(host.record("old").await.is_none());
    host.runs(&["new-r1-1", "new-r1-2"]).await;
    // What it replaces is gone, so there is nothing left to do.
    host.deploy(&["new"]).await.succeeded().says("up to date");
}
