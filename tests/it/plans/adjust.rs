//! The same release with other routes or another number of replicas.

use super::reads;
use crate::fixture::*;
use crate::scenes::{adjustments, changed, hand_overs};
use crate::session::{Desired, succeed};

async fn named(file: &str, name: &str) {
    let scene = adjustments().await.into_iter().find(|scene| scene.name == name);
    reads(file, &scene.expect("a scene of this name")).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do_still_confirms_the_route() {
    named("nothing-to-do", "nothing to do").await;
}

#[tokio::test(start_paused = true)]
async fn other_routes_need_a_flip_and_no_container() {
    named("routes", "routes").await;
}

#[tokio::test(start_paused = true)]
async fn other_settings_need_a_flip_and_are_kept_with_the_release() {
    let scene = changed("redirects", project([app("go-app")]), project([redirected("/new", app("go-app"))])).await;
    reads("settings", &scene).await;
}

#[tokio::test(start_paused = true)]
async fn more_replicas_join_those_that_serve() {
    named("more-replicas", "more replicas").await;
}

#[tokio::test(start_paused = true)]
async fn fewer_replicas_drain_like_in_a_deploy() {
    named("fewer-replicas", "fewer replicas").await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_comes_back_has_a_number_that_was_never_used() {
    let wanted = |count| project([replicas(count, app("go-app"))]);
    let scene = changed("down", wanted(2), wanted(1)).await;
    succeed(&scene.world, &scene.desired).await;
    reads("up-again", &scene.desiring(Desired::of(wanted(2)))).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_is_put_to_rest() {
    named("to-zero", "to zero").await;
}

#[tokio::test(start_paused = true)]
async fn an_app_comes_back_from_rest() {
    named("from-zero", "from zero").await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_replica_is_replaced_by_one_of_the_same_release() {
    named("one-replica-dead", "one replica dead").await;
}

#[tokio::test(start_paused = true)]
async fn more_replicas_in_batches_join_one_by_one() {
    let wanted = |count| project([in_batches_of(1, replicas(count, app("go-app")))]);
    reads("more-replicas-in-batches", &changed("more", wanted(1), wanted(3)).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_replica_is_replaced_although_its_container_is_gone() {
    let two = project([replicas(2, app("go-app"))]);
    let scene = changed("gone", two.clone(), two).await;
    scene.world.state().containers.remove("sample-go-app-r1-1");
    reads("one-replica-gone", &scene).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_takes_over_from_another_in_one_flip() {
    let scenes = hand_overs().await;
    let named = |name: &str| scenes.iter().find(|scene| scene.name == name).expect("a scene of this name");
    reads("taken-over", named("taken over")).await;
    reads("swapped-routes", named("swapped routes")).await;
}
