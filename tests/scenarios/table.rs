//! The scenarios themselves, with the tests that prove them.

use super::Scenario;

const fn scenario(
    situation: &'static str,
    expected: &'static str,
    tests: &'static [&'static str],
    elsewhere: Option<&'static str>,
) -> Scenario {
    Scenario { situation, expected, tests, elsewhere }
}

/// Numbered from 1 in this order. A number is what people refer to: add at the end, and never sort.
pub const SCENARIOS: &[Scenario] = &[
    scenario(
        "Clients on kept connections GET and POST without a pause while two apps are replaced 25 times each",
        "every request is answered with success, and none is sent twice",
        &["e2e::redeploys::fifty_flips_of_two_apps_lose_no_request"],
        Some("https://github.com/nginx/nginx/pull/437"),
    ),
    scenario(
        "A client's pooled connection was idle for 5 to 60 seconds and POSTs in the moment of the flip",
        "the old or the new version answers; nothing is reset",
        &[
            "e2e::idle_clients::connections_idle_for_5_to_60_seconds_post_at_the_moment_of_the_flip",
            "e2e::long_requests::a_pooled_connection_may_post_at_any_moment_around_the_flip",
            "lua::retries::a_post_on_a_pooled_connection_never_meets_a_backend_that_just_hung_up",
        ],
        Some("https://github.com/nginx/kubernetes-ingress/issues/10324"),
    ),
    scenario(
        "A request of 25 seconds begins less than a second before the flip",
        "it ends on the old version, which is not stopped before",
        &["e2e::long_requests::requests_of_25_seconds_begun_before_the_flip_finish_on_the_old_version"],
        None,
    ),
    scenario(
        "A request lasts longer than the drain limit",
        "it is cut at the limit that was set, not before, and the run says how many were",
        &[
            "e2e::stops::an_upload_that_outstays_the_drain_limit_is_cut_counted_and_reported",
            "e2e::stops::a_get_that_is_cut_at_the_drain_limit_is_asked_again_of_the_new_version",
            "e2e::streams::what_outstays_the_drain_limit_is_counted_as_cut_and_closed_kindly_by_the_app",
        ],
        None,
    ),
    scenario(
        "A thousand WebSockets are open on the old version",
        "they stay until their clients leave, one group after the other, or until their own limit, when the app closes them \
         with a frame and the run counts them; WebSockets of other apps do not notice",
        &[
            "e2e::websockets::a_thousand_stay_until_they_leave_or_their_limit_comes_and_no_others_notice",
            "e2e::streams::websockets_have_a_limit_of_their_own_that_requests_do_not_wait_for",
        ],
        None,
    ),
    scenario(
        "A stream of server-sent events is open across the flip",
        "it flows on from the old version until its client leaves or the limit comes; a new one is the new version's",
        &[
            "e2e::streams::a_stream_and_a_websocket_stay_on_the_old_version_until_their_clients_leave",
            "lua::streaming::an_event_arrives_before_the_next_one_is_made",
        ],
        None,
    ),
    scenario(
        "An upload is half-way at the flip",
        "the old version gets all of it and answers; the same connection goes on with the new version",
        &["e2e::long_requests::an_upload_in_progress_at_the_flip_arrives_whole_on_the_old_version"],
        None,
    ),
    scenario(
        "The new version answers its health check once and dies",
        "it gets no traffic; its exit code and last lines are shown",
        &[
            "e2e::faults_health::a_version_that_is_healthy_once_and_dies_gets_no_traffic",
            "e2e::faults_health::a_single_replica_that_dies_with_the_last_answer_it_was_asked_for_gets_no_traffic",
            "e2e::faults_health::a_version_that_died_while_it_waited_is_not_taken_for_well_because_the_engine_started_it_again",
            "it::operations::a_replica_that_dies_while_it_waits_for_a_slower_one_is_not_flipped_in",
        ],
        None,
    ),
    scenario(
        "One of three new replicas is not healthy",
        "the deploy fails, the two good ones go as well, and the three old ones serve on",
        &["e2e::faults_health::one_bad_replica_of_three_takes_the_good_ones_back_with_it"],
        None,
    ),
    scenario(
        "The very first version of an app is not healthy",
        "the command fails, there is no route to the app, and nothing is left of it",
        &["e2e::faults_health::a_first_version_that_is_not_healthy_is_not_exposed"],
        Some("https://github.com/wowu/docker-rollout/issues/38"),
    ),
    scenario(
        "The command is killed (SIGKILL) after any step before the flip",
        "the next run cleans up and finishes; nobody has to unlock anything",
        &[
            "e2e::crash::a_redeploy_may_be_killed_after_any_step",
            "e2e::crash::the_first_deploy_on_a_host_may_be_killed_after_any_step",
            "e2e::faults_together::the_lease_of_a_killed_deploy_is_free_long_before_it_would_expire",
        ],
        None,
    ),
    scenario(
        "The command is killed between the flip and the stop of the old replicas",
        "the proxy says what serves, and nothing that serves is stopped; the next run drains and stops the rest",
        &[
            "e2e::crash::a_redeploy_in_batches_may_be_killed_after_any_step",
            "it::crashes::a_redeploy_killed_anywhere_is_finished_by_the_next_one",
            "it::crashes::a_second_kill_anywhere_is_finished_by_the_third_run",
        ],
        None,
    ),
    scenario(
        "The proxy dies, cannot write the flip down, or its answer is lost while the new replicas are up already",
        "nothing old is stopped before the proxy has confirmed the new route; a run with nothing to do asks it as well",
        &[
            "e2e::faults_proxy::a_deploy_during_which_the_proxy_is_killed_completes_or_is_undone",
            "it::flips::nothing_is_stopped_while_it_is_not_known_what_the_proxy_routes",
            "it::flips::a_flip_that_the_proxy_could_not_write_down_is_rolled_back",
            "it::plans::adjust::nothing_to_do_still_confirms_the_route",
            "lua::persistence::a_full_disk_refuses_the_flip_and_changes_nothing",
        ],
        None,
    ),
    scenario(
        "Two deploys of one app at the same time",
        "the second waits or is told who deploys, where, since when and what to do; the lease ends with its owner",
        &[
            "e2e::faults_together::a_second_deploy_of_an_app_is_told_who_holds_it_and_what_to_do",
            "e2e::faults_together::a_second_deploy_that_waits_goes_on_when_the_first_has_ended",
            "e2e::faults_together::of_two_equal_deploys_the_one_that_waits_finds_nothing_left_to_do",
        ],
        None,
    ),
    scenario(
        "One app is deployed while its neighbour on the same proxy streams, or crashes all the time",
        "no stream of the neighbour ends, and a broken neighbour delays nobody",
        &[
            "e2e::together::a_deploy_of_one_app_leaves_its_neighbour_alone",
            "e2e::faults_neighbours::an_app_that_crashes_all_the_time_disturbs_no_deploy_of_another",
        ],
        Some("https://github.com/caddyserver/caddy/issues/7222"),
    ),
    scenario(
        "One app asks for routes that are wrong or that another app has",
        "they are refused with their place in the file, or by the proxy itself; what it routes does not change",
        &[
            "lib::compose::tests::apps::invalid_routes_are_refused",
            "e2e::input_file::two_apps_of_a_file_cannot_have_one_route",
            "e2e::input_file::a_route_of_another_project_on_the_same_proxy_is_left_to_it",
            "lua::control::a_flip_of_another_generation_or_of_others_routes_changes_nothing",
            "lua::control::calls_that_are_not_understood_say_so",
        ],
        None,
    ),
    scenario(
        "The engine or the host restarts, in order or by a power cut, and containers start in any order",
        "every route works again with no command run, and no app gets the traffic of another",
        &[
            "e2e::reboot::after_the_engine_ends_in_any_way_every_route_is_back_with_no_command_run",
            "e2e::reboot::containers_that_start_again_in_any_order_keep_their_addresses_and_routes",
        ],
        None,
    ),
    scenario(
        "The proxy is killed, or replaced by that of another version",
        "a short gap, then every route as it was; what was being written is whole or was never there",
        &[
            "e2e::faults_proxy::a_killed_proxy_is_back_with_its_routes_and_their_generation",
            "e2e::faults_proxy::an_upgraded_proxy_has_finished_what_was_open_and_has_its_routes",
            "lua::persistence::routes_and_history_survive_a_kill_without_anybody_helping",
            "lua::persistence::a_torn_last_line_is_a_flip_that_never_was",
        ],
        None,
    ),
    scenario(
        "The disk is nearly full, or fills up during a build",
        "the build is refused beforehand, or fails with the old version serving and a hint; pruning keeps what a rollback needs",
        &[
            "e2e::prunes::a_build_on_a_disk_that_is_nearly_full_is_refused_before_it_begins",
            "e2e::input_build::a_disk_that_is_full_while_building_leaves_the_old_version_serving",
            "e2e::prunes::prune_leaves_what_serves_and_as_many_rollback_targets_as_asked",
        ],
        None,
    ),
    scenario(
        "The image that a rollback needs was removed, or its registry is down",
        "it says so before anything is touched and names the releases that can be had; a kept release needs no registry",
        &[
            "e2e::rollback_targets::a_release_whose_image_was_removed_is_refused_with_those_that_can_come_back",
            "e2e::rollback_targets::a_registry_that_is_down_is_not_needed",
            "e2e::rollback::neither_the_build_context_nor_a_registry_is_needed_and_the_routes_are_those_of_the_file",
        ],
        None,
    ),
    scenario(
        "The release command fails, hangs, takes too long, or is left behind by a killed run",
        "nothing is flipped, its log is shown, its container is gone, and two of them never run at once",
        &[
            "e2e::faults_release::a_release_command_that_fails_flips_nothing_and_shows_its_log",
            "e2e::faults_release::a_release_command_that_takes_too_long_is_ended_and_shows_its_log",
            "e2e::faults_release::a_release_command_that_hangs_is_ended_by_the_cancellation",
            "e2e::faults_release::a_release_command_that_a_killed_run_has_left_ends_before_the_next_begins",
        ],
        None,
    ),
    scenario(
        "The old version ignores its stop signal",
        "it is killed after its grace period and named; it gets no requests by then, so none is lost",
        &["e2e::stops::an_app_that_ignores_its_stop_signal_is_killed_after_its_grace_period_and_named"],
        None,
    ),
    scenario(
        "An app is scaled from 5 to fewer replicas under load",
        "those that go are drained and counted as in a deploy; no request is lost",
        &[
            "e2e::scale::from_2_to_5_to_1_to_0_and_back_without_a_lost_request",
            "it::plans::redeploy::five_become_two_one_at_a_time",
        ],
        None,
    ),
    scenario(
        "A service may have only one writer: a worker, a volume, a port of the host",
        "the order is chosen by the file or asked for, and the old one has stopped before the new one starts",
        &[
            "e2e::stops::a_stop_first_app_holds_requests_at_the_proxy_and_never_runs_twice",
            "e2e::sample_worker::no_tick_of_the_worker_is_lost_by_a_deploy_and_its_backend_may_die",
            "lib::compose::tests::refusals::a_shared_writable_volume_needs_an_order",
            "lib::compose::tests::refusals::all_problems_are_reported_in_order",
        ],
        None,
    ),
    scenario(
        "A deploy fails at its second of three replicas, or the connection to the engine is lost half-way",
        "all replicas are of one release, the old or the new one, and the exit code says which",
        &[
            "e2e::faults_health::one_bad_replica_of_three_takes_the_good_ones_back_with_it",
            "e2e::remote_lost::a_link_that_is_cut_before_the_flip_is_told_and_the_next_run_finishes",
            "e2e::remote_lost::a_link_that_is_cut_after_the_flip_leaves_the_rest_to_the_next_run",
            "e2e::remote_lost::a_link_that_freezes_is_noticed_and_given_up",
        ],
        None,
    ),
    scenario(
        "A client sends a host of 30 KB, a path of 30,000 slashes, or junk hosts without end",
        "400 or 404 at the cost of an ordinary request; the proxy's memory stays",
        &[
            "lua::attacks::no_request_holds_up_a_worker",
            "lua::hosts::rejects_what_is_no_host",
            "lua::hosts::junk_hosts_take_no_memory",
        ],
        None,
    ),
    scenario(
        "A client names two hosts, a port that is none, or a host in its target that differs from `Host`",
        "one host decides, and the app is told that one; the rest is a 400",
        &["lua::hosts::one_host_decides_and_is_told"],
        None,
    ),
    scenario(
        "Only `/public` is routed, and a client asks for `/admin/..%2fpublic`",
        "400; no app sees it",
        &["lua::paths::no_spelling_of_a_path_leads_past_its_route"],
        None,
    ),
    scenario(
        "An untrusted client claims another address, scheme or path by headers",
        "what it claims never reaches the app; from a trusted proxy the client is known",
        &[
            "lua::spoofed::no_claim_of_a_client_reaches_the_app",
            "lua::trusted::replaces_what_an_untrusted_client_claims",
            "lua::trusted::takes_the_rightmost_untrusted_address",
            "lua::trusted::takes_the_client_from_the_proxy_protocol",
        ],
        None,
    ),
    scenario(
        "Two projects have an app `back`, and a release command calls `http://back`",
        "it reaches its own project's",
        &["lua::projects::whoever_calls_reaches_its_own_project_first"],
        None,
    ),
    scenario(
        "A project routes a path of another project's host",
        "refused in the plan and at the flip, with who has it",
        &[
            "it::plans::refused::rejects_a_route_within_that_of_another_project",
            "lua::projects::rejects_a_route_within_that_of_another_project",
        ],
        None,
    ),
    scenario(
        "An app answers `X-Accel-Redirect`",
        "its own answer is passed on, and the open count falls",
        &[
            "lua::inner::an_app_cannot_redirect_inside_nginx",
            "lua::inner::a_request_that_goes_round_again_is_counted_once",
        ],
        None,
    ),
    scenario(
        "An app sends 103 or another interim answer first, or what is no HTTP at all",
        "the client gets the answer after it, or 502; the connection's next request works",
        &[
            "lua::interim::an_interim_answer_is_dropped_and_the_next_one_passed_on",
            "lua::interim::what_is_no_answer_becomes_a_502",
        ],
        None,
    ),
    scenario(
        "An app refuses an upload early and closes",
        "its answer arrives",
        &["lua::interim::an_app_that_answers_an_upload_early_is_heard"],
        None,
    ),
    scenario(
        "A health answer is one that nginx would refuse from traffic, or has an endless head",
        "refused at the gate in nginx's words; the proxy's memory stays",
        &["lua::gate::refuses_what_nginx_refuses_and_says_why", "lua::gate::an_endless_head_fills_nothing"],
        None,
    ),
    scenario(
        "A client vanishes in the middle of its upload",
        "it is not counted as open any more, at the latest after 5 minutes",
        &["lua::uploads::an_upload_that_stops_is_given_up"],
        None,
    ),
    scenario(
        "The engine's forwarder of the published port dies",
        "deploy, `status` and `doctor` name the port and what helps",
        &["e2e::edge::names_a_published_port_that_nobody_forwards_any_more"],
        None,
    ),
    scenario(
        "Networks are removed while everything is stopped",
        "a deploy or `doctor --fix` brings networks, addresses and routes back",
        &[
            "e2e::edge::a_deploy_brings_back_what_lost_its_networks",
            "e2e::edge::a_repair_brings_back_what_lost_its_networks",
        ],
        None,
    ),
    scenario(
        "Two apps swap routes, or an app is renamed",
        "one flip; nothing is lost; killed anywhere, the next run finishes",
        &[
            "e2e::route_changes::two_apps_swap_their_routes_in_one_flip",
            "e2e::route_changes::a_renamed_app_takes_over_in_one_flip_and_the_old_one_drains",
            "it::crashes::a_hand_over_of_routes_killed_anywhere_is_finished_by_the_next_run",
        ],
        None,
    ),
    scenario(
        "A project that `docker compose` runs is deployed",
        "its database keeps running; the app's port is handed over; compose's container serves on when the deploy fails",
        &[
            "e2e::adopt::a_running_compose_project_is_taken_over",
            "e2e::adopt::compose_serves_on_when_the_first_deploy_fails",
            "it::takeovers::a_takeover_killed_anywhere_is_finished_by_the_next_one",
        ],
        None,
    ),
    scenario(
        "A registry's login expires, or the registry goes down in the middle of a pull",
        "the error names where the login is from; undone, and the old version serves",
        &[
            "e2e::registry::a_refused_login_is_told_and_the_old_version_serves",
            "e2e::registry::a_registry_that_goes_down_in_the_middle_of_a_pull_changes_nothing",
        ],
        None,
    ),
    scenario(
        "The file of a bind mount is missing, or changes later",
        "refused; later a drift and a new release",
        &["e2e::mounts::a_mounted_file_is_missed_and_its_change_is_told_and_deployed"],
        None,
    ),
    scenario(
        "An older state volume is restored",
        "what runs alone is no leftover: it goes only when its successor serves",
        &["it::memory::a_release_newer_than_the_proxys_state_goes_only_when_another_serves"],
        None,
    ),
    scenario(
        "One client holds as many connections as it can get: idle ones, heads and uploads that come slowly",
        "beyond its share it gets 429, and all others are served; behind a trusted proxy each client has a share of its own",
        &[
            "lua::crowds::one_address_cannot_take_all_connections_from_the_others",
            "lua::crowds::connections_that_ask_nothing_count_as_those_that_do",
            "lua::crowds::behind_a_trusted_proxy_each_client_has_a_share_of_its_own",
        ],
        None,
    ),
    scenario(
        "An app is built `FROM` the image of another app",
        "each is built, deployed, rolled back and pruned as itself",
        &["e2e::inherited::an_app_from_another_apps_image_is_built_deployed_and_pruned_as_itself"],
        None,
    ),
];
