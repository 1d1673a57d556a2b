//! What an interrupted run has left is taken up.

use super::reads;
use crate::scenes::after_crashes;

async fn named(file: &str, name: &str) {
    let scene = after_crashes().await.into_iter().find(|scene| scene.name == name);
    reads(file, &scene.expect("a scene of this name")).await;
}

#[tokio::test(start_paused = true)]
async fn new_replicas_that_never_served_go_and_a_new_number_is_taken() {
    named("killed-before-the-flip", "killed before the flip").await;
}

#[tokio::test(start_paused = true)]
async fn old_replicas_that_are_idle_go_at_once() {
    named("killed-after-the-flip", "killed after the flip").await;
}

#[tokio::test(start_paused = true)]
async fn old_replicas_with_open_requests_finish_them_first() {
    named("killed-after-the-flip-old-busy", "killed after the flip, old still busy").await;
}

#[tokio::test(start_paused = true)]
async fn the_release_of_an_interrupted_batch_is_gone_on_with() {
    named("killed-between-batches", "killed between batches, old stopped").await;
}

#[tokio::test(start_paused = true)]
async fn old_replicas_behind_held_requests_are_taken_out_in_their_turn() {
    named("killed-while-it-holds", "killed while it holds").await;
}

#[tokio::test(start_paused = true)]
async fn stopped_replicas_behind_held_requests_go_before_anything_writes() {
    named("killed-while-it-holds-old-stopped", "killed while it holds, old stopped").await;
}

#[tokio::test(start_paused = true)]
async fn a_release_command_still_at_work_ends_before_the_next_begins() {
    named("killed-in-the-release-command", "killed in the release command").await;
}
