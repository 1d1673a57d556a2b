//! Clients of a group do not all start at once.

use super::server::Server;
use super::*;

#[test]
fn clients_of_a_group_start_spread_over_their_pause() {
    let [pause, none] = [Duration::from_millis(20), Duration::ZERO];
    let begins = |gap, traffic: Traffic| {
        let group = Group { clients: 4, gap, traffic };
        [0, 1, 2, 3].map(|member| group.first_after(member).as_millis())
    };
    assert_eq!(begins(pause, Traffic::get("/")), [0, 5, 10, 15]);
    assert_eq!(begins(none, Traffic::pooled_post("/", Expect::Success, 2 * pause)), [0, 10, 20, 30]);
    assert_eq!(begins(none, Traffic::sleeper("/")), [0; 4]);
}

#[tokio::test]
async fn the_next_client_waits_for_its_share_of_the_pause() {
    let server = Server::start(|peer, _| peer.echo()).await;
    let hour = Duration::from_secs(3600);
    let config = LoadConfig::new(server.address, "app.localhost").send_every(3, hour, Traffic::post("/", Expect::Echo));
    let load = Load::start(config).await.expect("load that can be sent");
    reached(&load, |progress| progress.requests > 0).await;
    let report = load.stop().await;
    assert_eq!((report.ok, report.failures()), (1, 0), "{report}");
}
