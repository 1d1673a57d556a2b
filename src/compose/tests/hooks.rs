//! Hooks, `update_config` and `rollback_config`.

use std::time::Duration;

use super::Case;
use crate::model::{FailureAction, Hook, Order, Restart};

fn hook(command: &[&str], timeout: u64) -> Hook {
    Hook {
        command: command.iter().map(ToString::to_string).collect(),
        timeout: Duration::from_secs(timeout),
        ..Hook::default()
    }
}

#[test]
fn hooks_have_default_timeouts() {
    let hooks = Case::app(
        "    stop_grace_period: 20s\n    environment: { A: 1 }\n    pre_start:\n      - command: ./migrate --all\n      \
         - { image: \"tools:1\", command: [chown, \"1000\", /data], user: root, per_replica: false, x-timeout: 5s }\n    \
         post_start:\n      - { command: ./up, user: \"1000\", privileged: true, working_dir: /srv, environment: [B=2, PASSED] }\n    \
         pre_stop: [{ command: ./down }]\n",
    )
    .env("PASSED", "run")
    .container()
    .hooks;
    let tools =
        Hook { image: Some("tools:1".into()), user: Some("root".into()), ..hook(&["chown", "1000", "/data"], 5) };
    assert_eq!(hooks.pre_start, [hook(&["./migrate", "--all"], 600), tools]);
    let up = Hook {
        user: Some("1000".into()),
        privileged: true,
        working_dir: Some("/srv".into()),
        environment: [("B", "2"), ("PASSED", "run")].map(|(name, value)| (name.into(), value.into())).into(),
        ..hook(&["./up"], 30)
    };
    assert_eq!(hooks.post_start, [up]);
    assert_eq!(hooks.pre_stop, [hook(&["./down"], 20)]);
}

#[test]
fn a_block_with_only_a_backup_is_an_accessory() {
    let file = |block: &str| {
        format!(
            "services:\n  web: {{ image: a, x-deploy-apps: {{ port: 80 }} }}\n  db: {{ image: b, x-deploy-apps: {{ {block} }} }}\n"
        )
    };
    let db = |block: &str| Case::new(&file(block)).project().accessories.into_values().next().expect("an accessory");
    let save = Hook { command: vec!["./save".to_owned(), "all".to_owned()], ..hook(&[], 1800) };
    assert_eq!(db("backup: ./save all").backup, Some(save.clone()));
    let chosen = Hook { user: Some("postgres".to_owned()), timeout: Duration::from_secs(60), ..save };
    assert_eq!(db("backup: { command: [./save, all], user: postgres, timeout: 1m }").backup, Some(chosen));
    assert_eq!(db("backup: null").backup, None);
    assert_eq!(Case::new(&file("backup: null, port: 81")).project().apps.len(), 2);
    Case::new(&file("backup: ./save, port: 80")).refuses(
        "3:36: app `db` has a `backup`, which only an accessory has",
        "remove it; what must be saved before a new version runs goes into `release`",
    );
}

#[test]
fn invalid_hooks_are_refused() {
    let refuses = |lines: &str, message: &str, hint: &str| Case::app(lines).refuses(message, hint);
    let command = "add `command: [\"./program\", \"argument\"]`";
    refuses("    post_start: [{ user: root }]\n", "5:18: `post_start` needs a `command`", command);
    refuses("    pre_stop: [./down]\n", "5:16: `pre_stop` must be a list of maps with `command`, not `./down`", "");
    refuses(
        "    pre_start: [{ command: a, per_replica: true }]\n",
        "5:31: `per_replica: true` is not supported",
        "remove it: the step runs once per release; use `post_start` for each replica",
    );
    refuses(
        "    post_start: [{ comand: a, command: b }]\n",
        "5:20: unknown key `comand` in `hook`",
        "did you mean `command`?",
    );
}

#[test]
fn a_rollback_inherits_the_rollout_policy() {
    let app = |lines: &str| Case::app(&format!("    deploy: {{ {lines} }}\n")).first_app();
    let plain = app("update_config: { parallelism: 2, failure_action: pause, max_failure_ratio: 0 }");
    assert_eq!((plain.rollout.failure_action, &plain.rollback), (FailureAction::Pause, &plain.rollout));
    let own = app("update_config: { order: stop-first, delay: 5s }, rollback_config: { delay: 0s, parallelism: 1 }");
    assert_eq!(
        (own.rollback.order, own.rollback.parallelism, own.rollback.delay),
        (Order::StopFirst, 1, Duration::ZERO)
    );
    assert_eq!(own.rollout.delay, Duration::from_secs(5));
    assert_eq!(app("mode: global").replicas, 1);
    let lenient = "    deploy: { update_config: { failure_action: continue, max_failure_ratio: 0.5 } }\n";
    assert_eq!(
        Case::app(lenient).warnings(),
        [
            "compose.yaml:5:48: `failure_action: continue` is taken as `pause`: no replica is left out unseen \
             (hint: the next deploy resumes where this one ended)",
            "compose.yaml:5:58: `max_failure_ratio` has no effect: the first failed replica counts \
             (hint: what serves does not change until all of a batch are healthy)",
        ]
    );
    assert_eq!(Case::app(lenient).loaded().project.apps[0].rollout.failure_action, FailureAction::Pause);
}

#[test]
fn a_restart_policy_is_mapped_to_the_engines() {
    let restart =
        |policy: &str| Case::app(&format!("    deploy: {{ restart_policy: {policy} }}\n")).container().restart;
    assert_eq!(restart("{ condition: on-failure, max_attempts: 3 }"), Restart::OnFailure(Some(3)));
    assert_eq!(restart("{ condition: none }"), Restart::No);
    assert_eq!(restart("{ condition: any }"), Restart::Always);
    assert_eq!(
        Case::app("    deploy: { restart_policy: { delay: 5s, max_attempts: 3 } }\n").warnings(),
        [
            "compose.yaml:5:33: `delay` has no effect: the engine waits 100 ms, and twice as long before each next attempt",
            "compose.yaml:5:44: `max_attempts` has no effect without `condition: on-failure` \
             (hint: the engine counts the attempts of failures only)",
        ]
    );
}
