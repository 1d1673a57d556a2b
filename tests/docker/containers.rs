//! Containers, networks and what the engine refuses.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use deploy_apps::model::{
    ContainerState, DockerHealth, Healthcheck, LogLimit, Logging, Mount, MountSource, OwnLabels, PortBinding,
    Resources, Restart, Tmpfs, Ulimit,
};
use deploy_apps::ports::{Engine, EngineErrorKind};

use crate::world::{World, attach, docker, inspect, labels};

#[tokio::test]
async fn a_container_joins_all_its_networks_at_its_fixed_address_and_is_observed() {
    let world = World::new().await;
    let (front, back) = (world.network("front", 10), world.network("back", 11));
    // The network of the proxy has the proxy's name.
    let front = deploy_apps::model::NewNetwork { name: world.proxy().network(), ..front };
    world.engine.create_network(&front).await.unwrap();
    world.engine.create_network(&back).await.unwrap();
    assert_eq!(world.engine.create_network(&back).await.unwrap_err().kind, EngineErrorKind::Conflict);

    let mut container = world.container("a", "sleep 60");
    container.spec.networks = vec![attach(&front, Some("10.199.10.77")), attach(&back, None)];
    container.spec.stop_grace = Some(Duration::from_secs(1));
    world.engine.create_container(&container).await.unwrap();
    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    let seen = observed.container(&container.name).expect("observed before its start");
    assert_eq!(seen.address, Some("10.199.10.77".parse().unwrap()));
    assert_eq!((seen.state, seen.health, &seen.labels), (ContainerState::Created, None, &container.labels));
    assert_eq!(observed.network(&front.name).unwrap().subnets, [front.subnet.unwrap()]);

    world.engine.start_container(&container.name).await.unwrap();
    let networks = inspect(&container.name)["NetworkSettings"]["Networks"].clone();
    assert_eq!(networks[&front.name]["IPAddress"], "10.199.10.77");
    assert!(networks[&back.name]["IPAddress"].as_str().unwrap().starts_with("10.199.11."));
    assert_eq!(networks.as_object().unwrap().len(), 2, "and no default bridge");
    world.engine.stop_container(&container.name, None, Some(Duration::ZERO)).await.unwrap();
    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    let seen = observed.container(&container.name).unwrap();
    assert_eq!(seen.address, Some("10.199.10.77".parse().unwrap()), "a stopped container keeps its claim");
    assert_eq!(seen.state, ContainerState::Exited { code: 137, oom_killed: false });
    docker(&["rm", "-f", &container.name]);
    docker(&["network", "rm", &front.name]);
}

#[tokio::test]
async fn everything_in_a_spec_reaches_the_engine() {
    let world = World::new().await;
    world.engine.create_volume(&world.name("data").as_str().into()).await.unwrap();
    world.engine.create_volume(&world.name("data").as_str().into()).await.unwrap();
    let mut container = world.container("full", "sleep 60");
    let spec = &mut container.spec;
    spec.environment.insert("KEY".to_owned(), "a=b c".to_owned());
    spec.labels.insert("deploy-apps.role".to_owned(), "forged".to_owned());
    spec.user = Some("1000:1000".to_owned());
    spec.working_dir = Some("/tmp".to_owned());
    spec.hostname = Some("box".to_owned());
    spec.init = true;
    spec.read_only = true;
    spec.mounts = vec![
        Mount {
            source: MountSource::Volume(world.name("data")),
            target: "/data".to_owned(),
            read_only: true,
            ..Mount::default()
        },
        Mount {
            source: MountSource::Bind("/etc".to_owned()),
            target: "/host".to_owned(),
            read_only: true,
            ..Mount::default()
        },
        Mount { source: MountSource::Anonymous, target: "/scratch".to_owned(), read_only: false, ..Mount::default() },
    ];
    spec.tmpfs = vec![Tmpfs { target: "/run".to_owned(), options: "size=1m".to_owned() }];
    spec.extra_hosts = vec!["db:10.0.0.9".to_owned()];
    spec.cap_drop = vec!["ALL".to_owned()];
    spec.cap_add = vec!["CHOWN".to_owned()];
    spec.security_opt = vec!["no-new-privileges:true".to_owned()];
    spec.ulimits = vec![Ulimit { name: "nofile".to_owned(), soft: 1000, hard: 2000 }];
    spec.sysctls.insert("net.core.somaxconn".to_owned(), "512".to_owned());
    spec.logging =
        Some(Logging { driver: "json-file".to_owned(), options: [("max-size".to_owned(), "1m".to_owned())].into() });
    spec.resources = Resources {
        nano_cpus: Some(500_000_000),
        memory_bytes: Some(64 << 20),
        memory_reservation_bytes: Some(32 << 20),
        pids: Some(50),
    };
    spec.restart = Restart::OnFailure(Some(3));
    spec.stop_signal = Some("SIGINT".to_owned());
    spec.stop_grace = Some(Duration::from_millis(1500));
    spec.healthcheck = Some(Healthcheck::Test {
        test: ["CMD-SHELL", "true"].map(str::to_owned).to_vec(),
        interval: Some(Duration::from_millis(100)),
        timeout: Some(Duration::from_secs(1)),
        retries: Some(2),
        start_period: None,
        start_interval: None,
    });
    spec.ports = vec![PortBinding {
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: None,
        container_port: 80,
        protocol: "tcp".to_owned(),
        ..PortBinding::default()
    }];
    world.engine.create_container(&container).await.unwrap();
    world.engine.start_container(&container.name).await.unwrap();

    let found = inspect(&container.name);
    let (config, host) = (&found["Config"], &found["HostConfig"]);
    assert!(config["Env"].as_array().unwrap().contains(&"KEY=a=b c".into()));
    assert_eq!(
        (&config["User"], &config["WorkingDir"], &config["Hostname"]),
        (&"1000:1000".into(), &"/tmp".into(), &"box".into())
    );
    assert_eq!((&config["StopSignal"], &config["StopTimeout"]), (&"SIGINT".into(), &2.into()));
    assert_eq!((&host["Init"], &host["ReadonlyRootfs"]), (&true.into(), &true.into()));
    assert_eq!(
        (&host["NanoCpus"], &host["Memory"], &host["PidsLimit"]),
        (&500_000_000.into(), &(64 << 20).into(), &50.into())
    );
    assert_eq!(host["RestartPolicy"]["Name"], "on-failure");
    assert_eq!(host["Ulimits"][0]["Soft"], 1000);
    assert_eq!(host["Sysctls"]["net.core.somaxconn"], "512");
    assert_eq!(host["LogConfig"]["Config"]["max-size"], "1m");
    assert_eq!((&host["CapDrop"][0], &host["SecurityOpt"][0]), (&"ALL".into(), &"no-new-privileges:true".into()));
    assert_eq!(host["ExtraHosts"][0], "db:10.0.0.9");
    assert_eq!(host["Tmpfs"]["/run"], "size=1m");
    assert_eq!(found["Mounts"].as_array().unwrap().len(), 3);
    assert!(found["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"].as_str().is_some());
    assert_eq!(
        OwnLabels::from_map(&labels(&container.name)),
        Some(container.labels.clone()),
        "ours win over a forged one"
    );

    let deadline = Instant::now() + Duration::from_secs(20);
    while world.engine.container_status(&container.name).await.unwrap().unwrap().health != Some(DockerHealth::Healthy) {
        assert!(Instant::now() < deadline, "never healthy");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    assert_eq!(observed.container(&container.name).unwrap().health, Some(DockerHealth::Healthy));
    assert!(observed.volumes.contains(&world.name("data")));

    let anonymous = docker(&[
        "inspect",
        "-f",
        "{{range .Mounts}}{{if eq .Destination \"/scratch\"}}{{.Name}}{{end}}{{end}}",
        &container.name,
    ]);
    world.engine.remove_container(&container.name).await.unwrap();
    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    assert!(!observed.volumes.contains(&anonymous) && observed.volumes.contains(&world.name("data")));
    assert_eq!(world.engine.container_status(&container.name).await.unwrap(), None);
    world.engine.remove_container(&container.name).await.expect("gone already is no error");
}

#[tokio::test]
async fn an_exit_is_reported_at_once_and_also_later() {
    let world = World::new().await;
    let name = world.run("exit", "read line < /pipe 2>/dev/null; sleep 0.3; exit 3").await;
    let report = world.engine.await_exit(&name).await.unwrap();
    let noticed = jiff::Timestamp::now();
    assert_eq!((report.code, report.oom_killed), (3, false));
    let finished: jiff::Timestamp = inspect(&name)["State"]["FinishedAt"].as_str().unwrap().parse().unwrap();
    println!("exit noticed after {:?}", noticed.duration_since(finished));
    assert_eq!(world.engine.await_exit(&name).await.unwrap().code, 3);
    let status = world.engine.container_status(&name).await.unwrap().unwrap();
    assert_eq!(status.state, ContainerState::Exited { code: 3, oom_killed: false });
    let gone = world.engine.await_exit(&world.name("never")).await.unwrap_err();
    assert_eq!(gone.kind, EngineErrorKind::NotFound);
}

#[tokio::test]
async fn a_log_is_limited_where_the_engine_keeps_it_in_files_and_nobody_says_otherwise() {
    let world = World::new().await;
    let mut container = world.container("limited", "sleep 60");
    container.spec.log_limit = Some(LogLimit { files: 3, file_bytes: 1_000_000 });
    world.engine.create_container(&container).await.unwrap();
    let driver = docker(&["info", "--format", "{{.LoggingDriver}}"]);
    // What another driver does not know it refuses, and then there would be no container.
    let options = match driver.trim() {
        "json-file" | "local" => serde_json::json!({ "max-file": "3", "max-size": "1000000" }),
        _ => serde_json::json!({}),
    };
    let found = inspect(&container.name)["HostConfig"]["LogConfig"].clone();
    assert_eq!(found, serde_json::json!({ "Type": driver.trim(), "Config": options }));
    container.name = world.name("said");
    container.spec.logging = Some(Logging { driver: "none".to_owned(), options: [].into() });
    world.engine.create_container(&container).await.unwrap();
    assert_eq!(inspect(&container.name)["HostConfig"]["LogConfig"]["Type"], "none");
}

#[tokio::test]
async fn the_exit_of_a_container_that_the_engine_restarts_is_seen() {
    let world = World::new().await;
    let mut container = world.container("again", "sleep 0.2; exit 4");
    container.spec.restart = Restart::Always;
    world.engine.create_container(&container).await.unwrap();
    world.engine.start_container(&container.name).await.unwrap();
    for _ in 0..3 {
        assert_eq!(world.engine.await_exit(&container.name).await.unwrap().code, 4);
    }
}

#[tokio::test]
async fn a_stop_tells_whether_the_signal_was_enough() {
    let world = World::new().await;
    let stubborn = world.run("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.1; done").await;
    let polite = world.run("polite", "trap 'exit 0' TERM USR1; echo ready; while :; do sleep 0.1; done").await;
    for name in [&stubborn, &polite] {
        let deadline = Instant::now() + Duration::from_secs(10);
        while world.engine.log_tail(name, 1).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "`{name}` never ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let stop = |name: &str, signal: Option<&'static str>| {
        let (engine, name) = (world.engine.clone(), name.to_owned());
        async move { engine.stop_container(&name, signal, Some(Duration::from_secs(1))).await.unwrap().killed }
    };
    let (killed, exited) = tokio::join!(stop(&stubborn, None), stop(&polite, Some("SIGUSR1")));
    assert!(killed && !exited);
    assert!(!stop(&stubborn, None).await, "stopped already");
    assert!(!stop(&world.name("never"), None).await, "never there");
}

#[tokio::test]
async fn the_log_tail_has_the_last_lines_of_both_streams_without_control_characters() {
    let world = World::new().await;
    let script = r"for i in 1 2 3 4 5; do echo out $i; sleep 0.1; echo err $i >&2; sleep 0.1; done; printf '\033[31mred\033[0m\a\n'; printf partial";
    let name = world.run("log", script).await;
    world.engine.await_exit(&name).await.unwrap();
    let all = world.engine.log_tail(&name, 100).await.unwrap();
    assert_eq!(all.len(), 12, "{all:?}");
    assert_eq!(all[..4], ["out 1", "err 1", "out 2", "err 2"]);
    assert_eq!(world.engine.log_tail(&name, 2).await.unwrap(), ["red", "partial"]);
}

#[tokio::test]
async fn taken_names_ports_and_addresses_are_told_apart() {
    let world = World::new().await;
    let network = world.network("taken", 12);
    world.engine.create_network(&network).await.unwrap();
    let mut first = world.container("first", "sleep 60");
    first.spec.networks = vec![attach(&network, Some("10.199.12.5"))];
    world.engine.create_container(&first).await.unwrap();
    world.engine.start_container(&first.name).await.unwrap();
    let name = world.engine.create_container(&first).await.unwrap_err();
    assert_eq!(name.kind, EngineErrorKind::Conflict);
    assert!(name.message.contains(&first.name), "{name}");

    let mut second = world.container("second", "sleep 60");
    second.spec.networks = vec![attach(&network, Some("10.199.12.5"))];
    world.engine.create_container(&second).await.unwrap();
    let address = world.engine.start_container(&second.name).await.unwrap_err();
    assert_eq!(address.kind, EngineErrorKind::AddressTaken, "{address}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut third = world.container("third", "sleep 60");
    third.spec.ports = vec![PortBinding {
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: Some(port),
        container_port: 80,
        protocol: "tcp".to_owned(),
        ..PortBinding::default()
    }];
    world.engine.create_container(&third).await.unwrap();
    let taken = world.engine.start_container(&third.name).await.unwrap_err();
    assert_eq!(taken.kind, EngineErrorKind::PortTaken, "{taken}");
    assert!(taken.message.contains(&format!("port {port} of the host is in use")), "{taken}");
    assert!(taken.hint.unwrap().contains(&port.to_string()));
}

#[tokio::test]
async fn a_missing_image_command_or_network_is_named() {
    let world = World::new().await;
    let mut container = world.container("none", "true");
    container.image = world.name("image");
    let image = world.engine.create_container(&container).await.unwrap_err();
    assert_eq!(image.kind, EngineErrorKind::ImageNotFound, "{image}");

    let mut container = world.container("command", "true");
    container.spec.command = Some(vec!["no-such-command".to_owned()]);
    world.engine.create_container(&container).await.unwrap();
    let command = world.engine.start_container(&container.name).await.unwrap_err();
    assert!(command.message.contains("its command is not in the image") && command.hint.is_some(), "{command}");

    let mut container = world.container("network", "true");
    container.spec.networks = vec![attach(&world.network("missing", 13), None)];
    let created = world.engine.create_container(&container).await;
    let missing = match created {
        Ok(()) => world.engine.start_container(&container.name).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(missing.kind, EngineErrorKind::NotFound, "{missing}");
}
