//! Clients of a group do not begin all at once.

use super::*;

#[test]
fn clients_of_a_group_begin_spread_over_their_pause() {
    let [pause, none] = [Duration::from_millis(20), Duration::ZERO];
    let begins = |gap, traffic: Traffic| {
        let group = Group { clients: 4, gap, traffic };
        [0, 1, 2, 3].map(|member| group.first_after(member).as_millis())
    };
    assert_eq!(begins(pause, Traffic::get("/")), [0, 5, 10, 15]);
    assert_eq!(begins(none, Traffic::pooled_post("/", Expect::Success, 2 * pause)), [0, 10, 20, 30]);
    assert_eq!(begins(none, Traffic::sleeper("/")), [0; 4]);
}
