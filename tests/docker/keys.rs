//! The rarer keys: what the engine was asked for at the creation of a container, as it says itself.

use deploy_apps::model::{
    Device, DeviceRate, DeviceRequest, Dns, EndpointOptions, Hook, Hooks, HostAccess, Mount, MountOptions, MountSource,
    NetworkPool, NetworkSettings, NewNetwork, NewVolume, Recursive, Shares,
};
use deploy_apps::ports::{Engine, EngineErrorKind};
use serde_json::{Value, json};

use crate::world::{World, attach, docker, inspect};

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// Compares those fields of the engine's answer that are named.
#[track_caller]
fn has(found: &Value, wanted: Value) {
    for (key, value) in wanted.as_object().expect("a map") {
        assert_eq!(&found[key], value, "{key}");
    }
}

#[tokio::test]
async fn what_a_container_may_see_and_use_is_asked_of_the_engine() {
    let world = World::new().await;
    let mut container = world.container("keys", "sleep 60");
    let spec = &mut container.spec;
    spec.host = HostAccess {
        privileged: true,
        cgroup: text("host"),
        cgroup_parent: text("/dat"),
        ipc: text("shareable"),
        pid: text("host"),
        uts: text("host"),
        userns: text("host"),
        network: text("none"),
        runtime: text("runc"),
        devices: vec![Device { source: "/dev/null".into(), target: "/dev/nil".into(), permissions: "r".into() }],
        device_cgroup_rules: vec!["c 1:3 mr".into()],
        device_requests: vec![DeviceRequest { count: -1, capabilities: vec!["gpu".into()], ..Default::default() }],
        group_add: vec!["adm".into()],
        shm_bytes: Some(32 << 20),
        oom_kill_disable: true,
        oom_score_adj: Some(-5),
        ..HostAccess::default()
    };
    spec.shares = Shares {
        cpu_shares: Some(512),
        cpu_period: Some(100_000),
        cpu_quota: Some(50_000),
        cpuset: text("0"),
        memory_swap_bytes: Some(96 << 20),
        swappiness: Some(10),
        read_bps: vec![DeviceRate { path: "/dev/null".into(), rate: 1 << 20 }],
        ..Shares::default()
    };
    spec.resources.memory_bytes = Some(64 << 20);
    spec.dns = Dns {
        servers: vec!["10.0.0.53".into()],
        options: vec!["use-vc".into()],
        search: vec!["a.b".into()],
        domainname: text("example.com"),
        ..Dns::default()
    };
    spec.annotations.insert("a".into(), "b".into());
    (spec.tty, spec.stdin_open) = (true, true);
    world.engine.create_container(&container).await.unwrap();
    let found = inspect(&container.name);
    has(
        &found["HostConfig"],
        json!({
            "Privileged": true, "CgroupnsMode": "host", "CgroupParent": "/dat", "IpcMode": "shareable", "PidMode": "host",
            "UTSMode": "host", "UsernsMode": "host", "NetworkMode": "none", "Runtime": "runc", "ShmSize": 32 << 20,
            "Devices": [{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/nil", "CgroupPermissions": "r" }],
            "DeviceCgroupRules": ["c 1:3 mr"], "GroupAdd": ["adm"], "OomScoreAdj": -5,
            "CpuShares": 512, "CpuPeriod": 100_000, "CpuQuota": 50_000, "CpusetCpus": "0", "MemorySwap": 96 << 20,
            "BlkioDeviceReadBps": [{ "Path": "/dev/null", "Rate": 1 << 20 }],
            "Dns": ["10.0.0.53"], "DnsOptions": ["use-vc"], "DnsSearch": ["a.b"], "Annotations": { "a": "b" },
        }),
    );
    assert_eq!(found["HostConfig"]["DeviceRequests"][0]["Count"], -1);
    has(&found["Config"], json!({ "Domainname": "example.com", "Tty": true, "OpenStdin": true }));
}

#[tokio::test]
async fn networks_volumes_and_mounts_are_made_as_asked() {
    let world = World::new().await;
    let pool = NetworkPool { subnet: text("10.199.40.0/24"), gateway: text("10.199.40.9"), ..NetworkPool::default() };
    let settings = NetworkSettings {
        attachable: true,
        labels: [("a".to_owned(), "b".to_owned())].into(),
        driver_opts: [("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned())].into(),
        pools: vec![pool],
        ..NetworkSettings::default()
    };
    let network = NewNetwork { subnet: None, settings, ..world.network("own", 40) };
    world.engine.create_network(&network).await.unwrap();
    let made: Value = serde_json::from_str(&docker(&["network", "inspect", &network.name])).unwrap();
    has(&made[0], json!({ "Attachable": true, "Options": { "com.docker.network.bridge.enable_icc": "false" } }));
    assert_eq!(
        (&made[0]["IPAM"]["Config"][0]["Gateway"], &made[0]["Labels"]["a"]),
        (&json!("10.199.40.9"), &json!("b"))
    );

    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")];
    let volume = NewVolume {
        driver_opts: options.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        labels: [("c".to_owned(), "d".to_owned())].into(),
        ..NewVolume::from(world.name("made").as_str())
    };
    world.engine.create_volume(&volume).await.unwrap();
    let made: Value = serde_json::from_str(&docker(&["volume", "inspect", &volume.name])).unwrap();
    assert_eq!((&made[0]["Options"]["o"], &made[0]["Labels"]["c"]), (&json!("size=1m"), &json!("d")));

    let mut container = world.container("mounts", "sleep 60");
    let endpoint = EndpointOptions { mac_address: text("02:42:0a:c7:28:05"), ..EndpointOptions::default() };
    container.spec.networks =
        vec![deploy_apps::model::NetworkAttachment { options: endpoint, ..attach(&network, Some("10.199.40.77")) }];
    let mount = |source: MountSource, target: &str, options: MountOptions| Mount {
        source,
        target: target.to_owned(),
        read_only: false,
        options,
    };
    let bind = || MountSource::Bind("/etc".to_owned());
    container.spec.mounts = vec![
        mount(bind(), "/a", MountOptions { propagation: text("rslave"), ..Default::default() }),
        mount(
            bind(),
            "/b",
            MountOptions { must_exist: true, recursive: Some(Recursive::Disabled), ..Default::default() },
        ),
        mount(MountSource::Anonymous, "/usr/bin", MountOptions { no_copy: true, ..Default::default() }),
    ];
    container.spec.hooks =
        Hooks { pre_stop: vec![Hook { command: vec!["./down".into()], ..Hook::default() }], ..Hooks::default() };
    world.engine.create_container(&container).await.unwrap();
    let found = inspect(&container.name);
    assert_eq!(found["HostConfig"]["Binds"], json!(["/etc:/a:rslave"]));
    assert_eq!(found["HostConfig"]["Mounts"][0]["BindOptions"]["NonRecursive"], true);
    assert_eq!(found["HostConfig"]["Mounts"][1]["VolumeOptions"]["NoCopy"], true);
    assert_eq!(found["NetworkSettings"]["Networks"][&network.name]["MacAddress"], "02:42:0a:c7:28:05");
    let observed = world.engine.observe(&world.proxy()).await.unwrap();
    assert_eq!(
        observed.container(&container.name).unwrap().hooks,
        container.spec.hooks,
        "kept for the day of its stop"
    );
}

#[tokio::test]
async fn what_the_engine_is_too_old_for_is_said_instead_of_being_dropped() {
    let world = World::new().await;
    let mut container = world.container("image-mount", "true");
    let source = MountSource::Image("debian:trixie-slim".to_owned());
    container.spec.mounts = vec![Mount { source, target: "/x".to_owned(), ..Mount::default() }];
    match world.engine.create_container(&container).await {
        // An engine that can do it.
        Ok(()) => assert_eq!(inspect(&container.name)["HostConfig"]["Mounts"][0]["Type"], "image"),
        Err(error) => {
            assert_eq!(error.kind, EngineErrorKind::TooOld);
            let api = world.engine.info().await.unwrap().api;
            let wanted = format!(
                "could not create container `{}`: `type: image` needs API 1.48, the engine speaks {api}",
                container.name
            );
            assert_eq!(error.message, wanted);
            assert_eq!(
                error.hint.as_deref(),
                Some("remove `type: image` from compose.yaml, or upgrade Docker Engine on that host")
            );
        }
    }
}
