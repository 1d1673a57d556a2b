//! Secrets and configs in containers: there before the first instruction runs, and there again after each restart.

use deploy_apps::model::{ContainerFile, Hook, Mount, MountSource, NewContainer, Tmpfs};
use deploy_apps::ports::Engine;

use crate::world::{World, docker, inspect};

fn file(target: &str, value: &str) -> ContainerFile {
    ContainerFile {
        name: target.rsplit('/').next().unwrap_or_default().to_owned(),
        target: target.to_owned(),
        uid: 1000,
        gid: 1001,
        mode: 0o440,
        content: value.as_bytes().to_vec().into(),
    }
}

const SHOW: &str = "for f in /run/secrets/key /etc/app/motd; do stat -c '%n %a %u:%g' $f; cat $f; echo; done; sleep 60";

fn wanted() -> Vec<String> {
    ["/run/secrets/key 440 1000:1001", "s3cr3t", "/etc/app/motd 440 1000:1001", "hello"].map(str::to_owned).into()
}

/// A container that shows both its files as soon as it runs.
fn container(world: &World, part: &str) -> NewContainer {
    let mut container = world.container(part, SHOW);
    container.spec.files = vec![file("/run/secrets/key", "s3cr3t"), file("/etc/app/motd", "hello")];
    container
}

async fn shows(world: &World, container: &NewContainer, times: usize) {
    let wanted = vec![wanted(); times].concat();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let log = world.engine.log_tail(&container.name, 100).await.unwrap();
        if log == wanted {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{}: {log:?}", container.name);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn files_are_there_at_the_first_instruction_whatever_the_root_is_and_after_a_restart() {
    let world = World::new().await;
    let plain = container(&world, "plain");
    let mut read_only = container(&world, "read-only");
    read_only.spec.read_only = true;
    let mut hidden = container(&world, "hidden");
    hidden.spec.tmpfs = vec![Tmpfs { target: "/run".to_owned(), options: String::new() }];
    let mut both = container(&world, "both");
    both.spec.read_only = true;
    both.spec.tmpfs = vec![Tmpfs { target: "/run".to_owned(), options: String::new() }];
    for container in [&plain, &read_only, &hidden, &both] {
        world.engine.create_container(container).await.unwrap();
        world.engine.start_container(&container.name).await.unwrap();
        shows(&world, container, 1).await;
        docker(&["restart", "-t", "0", &container.name]);
        shows(&world, container, 2).await;
        // Nothing that anyone may look at says what is in them.
        let text = inspect(&container.name).to_string();
        assert!(!text.contains("s3cr3t") && !text.contains("hello"), "{text}");
    }
    let rooms = docker(&["inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}", &both.name]);
    let rooms: Vec<&str> = rooms.split_whitespace().collect();
    assert_eq!(rooms.len(), 2);
    world.engine.remove_container(&both.name).await.unwrap();
    let left = world.engine.observe(&world.proxy()).await.unwrap().volumes;
    assert!(rooms.iter().all(|room| !left.contains(*room)), "the volumes go with the container");
}

#[tokio::test]
async fn a_file_without_a_value_or_a_place_leaves_no_container_behind() {
    let world = World::new().await;
    let mut unknown = container(&world, "unknown");
    unknown.spec.files[0].content = Default::default();
    let mut shared = container(&world, "shared");
    let data = MountSource::Bind("/tmp".to_owned());
    shared.spec.mounts = vec![Mount { source: data, target: "/run/secrets".to_owned(), ..Mount::default() }];
    let mut top = container(&world, "top");
    top.spec.read_only = true;
    top.spec.files = vec![file("/motd", "hello")];
    let why = [
        (unknown, "could not put `key` into container `{}`: its value is not known to this run"),
        (
            shared,
            "could not put `key` into container `{}`: its place `/run/secrets/key` lies in the mount `/run/secrets`",
        ),
        (top, "could not put `motd` into container `{}`: `/` cannot be a volume of its own for it"),
    ];
    for (container, message) in why {
        let error = world.engine.create_container(&container).await.unwrap_err();
        assert_eq!(error.message, message.replace("{}", &container.name));
        assert_eq!(world.engine.container_status(&container.name).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_hook_runs_as_it_is_asked_for_and_tells_its_end() {
    let world = World::new().await;
    let name = world.run("hooked", "sleep 60").await;
    let hook = |script: &str| Hook { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Hook::default() };
    let asked = Hook {
        user: Some("1000".to_owned()),
        working_dir: Some("/tmp".to_owned()),
        environment: [("A".to_owned(), "b c".to_owned())].into(),
        ..hook("echo $A in $PWD as $(id -u); echo bad >&2; exit 7")
    };
    let report = world.engine.run_hook(&name, &asked).await.unwrap().unwrap();
    assert_eq!(report.code, 7);
    let mut output = report.output;
    output.sort();
    assert_eq!(output, ["b c in /tmp as 1000", "bad"]);
    let missing = Hook { command: vec!["no-such-command".to_owned()], ..Hook::default() };
    let report = world.engine.run_hook(&name, &missing).await;
    assert!(report.is_err() || report.unwrap().unwrap().code != 0);
    world.engine.stop_container(&name, None, Some(std::time::Duration::ZERO)).await.unwrap();
    assert_eq!(world.engine.run_hook(&name, &hook("true")).await.unwrap(), None);
    assert_eq!(world.engine.run_hook(&world.name("never"), &hook("true")).await.unwrap(), None);
}
