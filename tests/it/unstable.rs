//! Containers that end again and again, and what is said to help.

use deploy_apps::model::{
    ContainerState, Hooks, Lifetime, ObservedContainer, OwnLabels, Project, ProxyName, ReleaseNumber, Role, unstable,
};
use jiff::Timestamp;

use crate::fixture::{app, name, project, service, with_accessories};

fn container(role: Role, of: Option<(&str, &str)>, release: Option<u32>) -> ObservedContainer {
    ObservedContainer {
        id: "1".to_owned(),
        name: "web-1".to_owned(),
        image_id: "sha256:1".to_owned(),
        labels: OwnLabels {
            role,
            proxy: ProxyName::default(),
            project: of.map(|(project, _)| project.parse().expect("a name")),
            service: of.map(|(_, service)| name(service)),
            release: release.map(ReleaseNumber),
            replica: None,
            version: None,
            identity: "i".to_owned(),
            tuning: None,
        },
        state: ContainerState::Restarting,
        health: None,
        address: None,
        hooks: Hooks::default(),
        volumes: Vec::new(),
        published: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

fn life(restarts: u64, started: i64) -> Lifetime {
    Lifetime { created_at: Some(at(0)), started_at: Some(at(started)), finished_at: None, restarts }
}

#[test]
fn a_recent_restart_is_told_with_how_many_there_were() {
    let one = container(Role::Replica, None, None);
    let told =
        |restarts, started, now| unstable(&one, None, &life(restarts, started), at(now)).map(|one| one.to_string());
    assert_eq!(told(3, 12, 14).as_deref(), Some("`web-1` restarted 3 times in the last 14s, 2s ago"));
    assert_eq!(told(1, 500, 600).as_deref(), Some("`web-1` restarted once in the last 10m, 100s ago"));
    assert_eq!(told(0, 0, 3), None, "its first start");
    assert_eq!(told(9, 100, 800), None, "it has been up for long since");
}

#[test]
fn the_commands_that_are_said_to_help_take_what_it_is() {
    let mut file = with_accessories([service("db")], project([app("web")]));
    file.dormant.insert(name("debug"));
    let memory = Project { remembered: true, ..file.clone() };
    let says = |looked_at: Option<&Project>, role, of, release, helps: &str| {
        let found = unstable(&container(role, of, release), looked_at, &life(3, 12), at(14)).expect("unstable");
        assert_eq!(found.remedy, helps);
    };
    let (web, db) = (Some(("sample", "web")), Some(("sample", "db")));
    let file = Some(&file);
    let why = "`deploy-apps logs web` says why; ";
    let back = "`deploy-apps rollback web` brings the release before back";
    says(file, Role::Replica, web, Some(8), &format!("{why}{back}"));
    says(file, Role::Replica, web, Some(1), &format!("{why}deploy it again when it is fixed"));
    let db_why = "`deploy-apps logs db` says why; ";
    let replaces = "when it is fixed in the compose file, `deploy-apps db` replaces it";
    says(file, Role::Accessory, db, None, &format!("{db_why}{replaces}"));
    for role in [Role::Accessory, Role::Replica] {
        says(
            file,
            role,
            Some(("sample", "old")),
            Some(8),
            "`deploy-apps logs old` says why; `deploy-apps remove old` removes it: the compose file has no such service",
        );
    }
    says(
        file,
        Role::Accessory,
        Some(("sample", "debug")),
        None,
        "`deploy-apps logs debug` says why; `--profile` with its profile lets a command take it",
    );
    // Another project's, or looked at without a file.
    for looked_at in [None, Some(&memory)] {
        says(
            looked_at,
            Role::Accessory,
            db,
            None,
            "`deploy-apps -p sample logs db` says why; `deploy-apps -p sample restart db` restarts it",
        );
    }
    says(
        file,
        Role::Replica,
        Some(("shop", "web")),
        Some(2),
        "`deploy-apps -p shop logs web` says why; `deploy-apps -p shop rollback web` brings the release before back",
    );
    says(file, Role::OneOff, web, Some(8), "`docker logs web-1` says why");
    says(
        file,
        Role::Proxy,
        None,
        None,
        "`deploy-apps logs proxy` says why; `deploy-apps proxy upgrade` makes it again",
    );
}
