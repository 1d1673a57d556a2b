//! Keys for host access, references to other services and advanced engine settings.

use super::Case;
use crate::model::{
    Condition, ContainerSpec, Device, DeviceRate, DeviceRequest, MountSource, NetworkPool, NetworkSettings, NewVolume,
    Recursive,
};

#[test]
fn host_access_is_read() {
    let ContainerSpec { host, dns, annotations, platform, tty, stdin_open, .. } = Case::app(
        "    privileged: true\n    cgroup: host\n    cgroup_parent: /apps\n    ipc: shareable\n    pid: host\n    uts: host\n    \
         userns_mode: host\n    runtime: crun\n    group_add: [adm, 1000]\n    shm_size: 64m\n    storage_opt: { size: 1G }\n    \
         oom_kill_disable: true\n    oom_score_adj: -500\n    isolation: default\n    tty: true\n    stdin_open: true\n    \
         platform: linux/arm64/v8\n    annotations: [a=b]\n    dns: 10.0.0.53\n    dns_opt: [use-vc]\n    dns_search: [a.b, c.d]\n    \
         domainname: example.com\n    device_cgroup_rules: [\"c 1:3 mr\"]\n",
    )
    .container();
    assert!(host.privileged && host.oom_kill_disable && tty && stdin_open);
    assert_eq!((host.cgroup.as_deref(), host.cgroup_parent.as_deref()), (Some("host"), Some("/apps")));
    assert_eq!(
        (host.ipc.as_deref(), host.pid.as_deref(), host.uts.as_deref()),
        (Some("shareable"), Some("host"), Some("host"))
    );
    assert_eq!((host.userns.as_deref(), host.runtime.as_deref()), (Some("host"), Some("crun")));
    assert_eq!((host.shm_bytes, host.oom_score_adj), (Some(64 << 20), Some(-500)));
    assert_eq!(
        (host.group_add, host.device_cgroup_rules),
        (vec!["adm".into(), "1000".to_owned()], vec!["c 1:3 mr".into()])
    );
    assert_eq!((host.storage_opt["size"].as_str(), annotations["a"].as_str()), ("1G", "b"));
    assert_eq!((dns.servers, dns.search), (vec!["10.0.0.53".to_owned()], vec!["a.b".to_owned(), "c.d".to_owned()]));
    assert_eq!((dns.options, dns.domainname.as_deref()), (vec!["use-vc".to_owned()], Some("example.com")));
    assert_eq!(platform.as_deref(), Some("linux/arm64/v8"));
    let refuses = |line: &str, message: &str, hint: &str| Case::app(&format!("    {line}\n")).refuses(message, hint);
    refuses(
        "isolation: hyperv",
        "5:16: `isolation` must be `default`, not `hyperv`",
        "remove it: the other kinds are for Windows containers",
    );
    refuses(
        "dns: dns.example",
        "5:10: `dns.example` is not the address of a DNS server",
        "write an address such as `10.0.0.53`",
    );
    refuses("oom_score_adj: 5000", "5:20: `oom_score_adj` must be a whole number from -1000 to 1000, not `5000`", "");
    refuses(
        "pid: service:db",
        "5:10: `pid` names `db`, which is not a service",
        "add the service, or name a container: `container:…`",
    );
    refuses("uts: private", "5:10: `uts` must be `host`, not `private`", "");
    refuses("platform: a b", "5:15: `platform` must be a platform such as `linux/amd64`, not `a b`", "");
    refuses("cpus: 1\n    cpu_quota: 5000", "6:5: `cpu_quota` and `cpus` exclude each other", "keep `cpus`");
}

#[test]
fn devices_are_read_by_name_or_capability() {
    let host = Case::app(
        "    devices: [/dev/null, \"/dev/zero:/dev/nil:r\", { source: /dev/full }, vendor.com/gpu=0]\n    gpus: all\n    \
         deploy: { resources: { reservations: { devices: [{ driver: nvidia, capabilities: [gpu], device_ids: [\"1\"] }] } } }\n",
    )
    .container()
    .host;
    let device = |source: &str, target: &str, permissions: &str| Device {
        source: source.into(),
        target: target.into(),
        permissions: permissions.into(),
    };
    let all = [
        device("/dev/null", "/dev/null", "rwm"),
        device("/dev/zero", "/dev/nil", "r"),
        device("/dev/full", "/dev/full", "rwm"),
    ];
    assert_eq!(host.devices, all);
    let gpu = || vec!["gpu".to_owned()];
    let requests = [
        DeviceRequest { driver: "cdi".into(), ids: vec!["vendor.com/gpu=0".into()], ..DeviceRequest::default() },
        DeviceRequest { count: -1, capabilities: gpu(), ..DeviceRequest::default() },
        DeviceRequest {
            driver: "nvidia".into(),
            ids: vec!["1".into()],
            capabilities: gpu(),
            ..DeviceRequest::default()
        },
    ];
    assert_eq!(host.device_requests, requests);
    Case::app("    devices: [dev/null]\n").refuses(
        "5:15: `dev/null` is not a device mapping",
        "write such as `/dev/ttyUSB0`, `/dev/sda:/dev/xvda` or `/dev/sda:/dev/xvda:r`",
    );
    Case::app("    gpus: [{ count: 1, device_ids: [a] }]\n")
        .refuses("5:12: `count` and `device_ids` exclude each other", "keep one of them");
}

#[test]
fn cpu_swap_and_disk_limits_are_read() {
    let spec = Case::app(
        "    cpu_shares: 512\n    cpu_period: 100ms\n    cpu_quota: 50000\n    cpu_rt_period: 1s\n    cpu_rt_runtime: 950000\n    \
         cpuset: 0-1,3\n    cpus: 0\n    mem_limit: 0\n    memswap_limit: -1\n    mem_swappiness: 10\n    \
         blkio_config: { weight: 300, weight_device: [{ path: /dev/sda, weight: 400 }], device_read_bps: [{ path: /dev/sda, rate: 12mb }] }\n",
    )
    .container();
    let shares = spec.shares;
    assert_eq!((shares.cpu_shares, shares.cpu_period, shares.cpu_quota), (Some(512), Some(100_000), Some(50_000)));
    assert_eq!((shares.cpu_rt_period, shares.cpu_rt_runtime), (Some(1_000_000), Some(950_000)));
    assert_eq!(
        (shares.cpuset.as_deref(), shares.memory_swap_bytes, shares.swappiness),
        (Some("0-1,3"), Some(-1), Some(10))
    );
    assert_eq!((shares.blkio_weight, spec.resources), (Some(300), Default::default()));
    let of_disk = |rate: i64| [DeviceRate { path: "/dev/sda".into(), rate }];
    assert_eq!((&shares.blkio_weight_device[..], &shares.read_bps[..]), (&of_disk(400)[..], &of_disk(12 << 20)[..]));
    Case::app("    cpuset: all\n").refuses("5:13: `cpuset` must be processors such as `0-3` or `0,1`, not `all`", "");
}

#[test]
fn references_to_accessories_are_dependencies() {
    let case = Case::new(
        "services:\n  db: { image: d, container_name: the-db }\n  side:\n    image: s\n    network_mode: service:db\n    \
         pid: container:other\n    volumes_from: [db:ro]\n  web:\n    image: w\n    x-deploy-apps: {}\n    links: [\"db:database\", db]\n    \
         external_links: [\"far:near\"]\n    ipc: service:db\n",
    );
    let project = case.project();
    let side = &project.accessories[1].service;
    assert_eq!(project.accessories[0].container(&project.name), "the-db");
    assert_eq!(project.accessories[1].container(&project.name), "sample-side-1");
    assert_eq!(side.container.host.network.as_deref(), Some("container:the-db"));
    assert_eq!((side.container.host.pid.as_deref(), side.container.networks.len()), (Some("container:other"), 0));
    assert_eq!(side.container.volumes_from, ["the-db:ro"]);
    let web = &project.apps[0].service;
    assert_eq!(web.container.dns.links, ["the-db:database", "far:near"]);
    assert_eq!(web.container.host.ipc.as_deref(), Some("container:the-db"));
    for service in [side, web] {
        let needs: Vec<_> = service.depends_on.iter().map(|found| (found.service.as_str(), found.condition)).collect();
        assert_eq!(needs, [("db", Condition::Started)]);
    }
    let refuses = |lines: &str, message: &str, hint: &str| {
        let app = "  web: { image: w, x-deploy-apps: {} }\n";
        Case::new(&format!("services:\n{app}  db:\n    image: d\n    {lines}\n")).refuses(message, hint);
    };
    refuses(
        "volumes_from: [web]",
        "5:5: `volumes_from` names app `web`, whose containers are replaced at each deploy",
        "name a service without an `x-deploy-apps` block",
    );
    refuses(
        "network_mode: host\n    networks: [default]",
        "6:5: `networks` and `network_mode` exclude each other",
        "keep one of them",
    );
    refuses(
        "container_name: a/b",
        "5:21: `container_name` must be at least two letters, digits, `_`, `.` and `-`, not `a/b`",
        "",
    );
    refuses(
        "network_mode: overlay",
        "5:19: `network_mode` must be `none`, `host`, `bridge`, `service:…` or `container:…`, not `overlay`",
        "",
    );
}

#[test]
fn network_and_volume_settings_are_read() {
    let project = Case::new(
        "services:\n  db:\n    image: d\n    mac_address: 02-42-AC-11-65-43\n    networks:\n      low: { priority: 1, gw_priority: 5, interface_name: eth7 }\n      \
         high: { priority: 9, ipv4_address: 172.28.0.5, ipv6_address: \"fd00::5\", link_local_ips: [169.254.8.8], driver_opts: { a: b } }\n    \
         volumes: [\"data:/data\"]\nnetworks:\n  low:\n  high:\n    driver: macvlan\n    driver_opts: { parent: eth0 }\n    attachable: true\n    \
         enable_ipv6: true\n    labels: { a: b }\n    ipam:\n      driver: default\n      options: { x: y }\n      config:\n        \
         - { subnet: 172.28.0.0/16, ip_range: 172.28.5.0/24, gateway: 172.28.0.1, aux_addresses: { host1: 172.28.1.5 } }\n        \
         - { subnet: \"fd00::/64\" }\n\
         volumes:\n  data: { driver: nfs, driver_opts: { o: rw }, labels: [c=d] }\n",
    )
    .project();
    let networks = &project.accessories[0].service.container.networks;
    assert_eq!(networks.iter().map(|found| found.network.as_str()).collect::<Vec<_>>(), ["sample_high", "sample_low"]);
    assert_eq!(networks[0].address, Some("172.28.0.5".parse().unwrap()));
    assert_eq!(networks[0].options.mac_address.as_deref(), Some("02:42:ac:11:65:43"));
    assert_eq!(networks[0].options.ipv6_address.as_deref(), Some("fd00::5"));
    assert_eq!(
        (networks[1].options.gw_priority, networks[1].options.interface_name.as_deref()),
        (Some(5), Some("eth7"))
    );
    let pools = vec![
        NetworkPool {
            subnet: Some("172.28.0.0/16".into()),
            ip_range: Some("172.28.5.0/24".into()),
            gateway: Some("172.28.0.1".into()),
            aux_addresses: [("host1".to_owned(), "172.28.1.5".to_owned())].into(),
        },
        NetworkPool { subnet: Some("fd00::/64".into()), ..NetworkPool::default() },
    ];
    let high = NetworkSettings {
        driver: Some("macvlan".into()),
        driver_opts: [("parent".to_owned(), "eth0".to_owned())].into(),
        attachable: true,
        enable_ipv6: Some(true),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ipam_options: [("x".to_owned(), "y".to_owned())].into(),
        pools,
        ..NetworkSettings::default()
    };
    assert_eq!(
        (&project.networks["sample_high"], &project.networks["sample_low"]),
        (&high, &NetworkSettings::default())
    );
    let data = NewVolume {
        driver: Some("nfs".into()),
        driver_opts: [("o".to_owned(), "rw".to_owned())].into(),
        labels: [("c".to_owned(), "d".to_owned())].into(),
        ..NewVolume::from("sample_data")
    };
    assert_eq!(project.volumes, [data]);
    Case::accessory("    networks: [n]\nnetworks: { n: { ipam: { config: [{ subnet: 10.0.0.0 }] } } }\n")
        .refuses("5:45: `subnet` must be a network such as `172.28.0.0/16`, not `10.0.0.0`", "");
    Case::accessory("    mac_address: \"02:42\"\n")
        .refuses("4:18: `mac_address` must be a MAC address such as `02:42:ac:11:65:43`, not `02:42`", "");
}

#[test]
fn mounts_have_all_their_options() {
    let mounts = Case::accessory(
        "    volumes:\n      - { type: bind, source: /srv, target: /a, bind: { propagation: rslave, create_host_path: false } }\n      \
         - { type: bind, source: /srv, target: /b, read_only: true, consistency: cached, bind: { recursive: readonly } }\n      \
         - { type: volume, target: /c, volume: { nocopy: true, labels: { a: b } } }\n      \
         - { type: volume, source: data, target: /d, volume: { subpath: in/side } }\n      \
         - { type: image, source: \"tools:1\", target: /e, image: { subpath: bin } }\n      \
         - /srv:/f:ro,Z,rshared\nvolumes: { data: }\n",
    )
    .container()
    .mounts;
    assert_eq!((mounts[0].options.propagation.as_deref(), mounts[0].options.must_exist), (Some("rslave"), true));
    assert_eq!((mounts[1].options.recursive, mounts[1].read_only), (Some(Recursive::Readonly), true));
    assert!(mounts[2].options.no_copy && mounts[2].options.labels["a"] == "b");
    assert_eq!(mounts[3].options.subpath.as_deref(), Some("in/side"));
    assert_eq!(
        (&mounts[4].source, mounts[4].options.subpath.as_deref()),
        (&MountSource::Image("tools:1".into()), Some("bin"))
    );
    assert_eq!(
        (mounts[5].options.selinux.as_deref(), mounts[5].options.propagation.as_deref()),
        (Some("Z"), Some("rshared"))
    );
    let refuses = |mount: &str, message: &str, hint: &str| {
        Case::accessory(&format!("    volumes: [{mount}]\n")).refuses(message, hint);
    };
    refuses(
        "{ type: volume, target: /x, volume: { subpath: ../y } }",
        "4:62: `subpath` must be a relative path without `..`, not `../y`",
        "",
    );
    refuses("{ type: image, target: /x }", "4:15: an image mount needs its `source`", "add `source: image:tag`");
}

#[test]
fn build_options_are_read() {
    let case = Case::new(
        "services:\n  web:\n    x-deploy-apps: {}\n    build:\n      context: .\n      cache_from: [\"a:1\", \"type=registry,ref=b:2\", type=gha]\n      \
         tags: [\"web:latest\"]\n      shm_size: 1g\n      ulimits: { nofile: 1000 }\n      platforms: [linux/amd64]\n      \
         cache_to: [type=inline]\n      provenance: true\n",
    );
    let loaded = case.loaded();
    let crate::model::ImageSource::Build(build) = &loaded.project.apps[0].service.image else { panic!("a build") };
    assert_eq!(
        (&build.cache_from[..], &build.tags[..]),
        (&["a:1".to_owned(), "b:2".to_owned()][..], &["web:latest".to_owned()][..])
    );
    assert_eq!(
        (build.shm_bytes, build.ulimits.len(), build.platform.as_deref()),
        (Some(1 << 30), 1, Some("linux/amd64"))
    );
    assert_eq!(
        case.warnings(),
        [
            "compose.yaml:6:7: `cache_from` of type `gha` has no effect: the engine uses its own cache",
            "compose.yaml:11:7: `cache_to` has no effect: the engine keeps its own cache",
            "compose.yaml:12:7: `provenance` has no effect: the engine's own builder makes none",
        ]
    );
    Case::new("services:\n  web: { x-deploy-apps: {}, build: { platforms: [linux/amd64, linux/arm64] } }\n").refuses(
        "2:38: an image for 2 platforms is not supported",
        "name the engine's own, or none: what is built is run on that engine",
    );
}

#[test]
fn a_port_may_have_a_range_of_host_ports() {
    let container = Case::accessory(
        "    ports: [\"8000-8010:80\", { target: 81, published: 9000-9009, protocol: sctp, host_ip: \"[::1]\" }, \"90:90/TCP\"]\n    \
         label_file: a.labels\n    labels: { B: own }\n    expose: [\"80\", 90-91/udp]\n",
    )
    .file("a.labels", "# from a file\nA=1\nB=2\n")
    .container();
    let shown = |at: usize| {
        (container.ports[at].host_port, container.ports[at].host_port_end, container.ports[at].protocol.as_str())
    };
    assert_eq!(shown(0), (Some(8000), Some(8010), "tcp"));
    assert_eq!(shown(1), (Some(9000), Some(9009), "sctp"));
    assert_eq!((shown(2), container.ports[1].host_ip.as_deref()), ((Some(90), None, "tcp"), Some("::1")));
    assert_eq!(
        container.labels.into_iter().collect::<Vec<_>>(),
        [("A", "1"), ("B", "own")].map(|(a, b)| (a.into(), b.into()))
    );
    Case::accessory("    expose: [web]\n")
        .refuses("4:14: `expose` must be a list of ports such as `8080` or `53/udp`, not `web`", "");
    let missing = Case::accessory("    label_file: none\n");
    let path = missing.path("none");
    missing.refuses(&format!("4:17: label file `{path}` does not exist"), "check its path");
}

#[test]
fn a_volume_keeps_its_label_in_either_form() {
    let mounts = |volume: &str| {
        Case::accessory(&format!("    volumes:\n      - {volume}\nvolumes: {{ data: }}\n")).container().mounts
    };
    let short = mounts("data:/x:Z");
    assert_eq!(short[0].options.selinux.as_deref(), Some("Z"));
    assert_eq!(mounts("{ type: volume, source: data, target: /x, bind: { selinux: Z } }"), short);
}
