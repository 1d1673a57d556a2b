//! Volumes, networks and ports of a service, in short and long form.

use super::Case;
use crate::model::{MountSource, NewVolume, Tmpfs};

#[test]
fn volumes_have_short_and_long_forms() {
    let case = Case::new(
        "services:\n  db:\n    image: d\n    tmpfs: [/run, \"/tmp:size=64m,mode=1777\"]\n    volumes:\n      - data:/data\n      \
         - ./conf:/conf:ro\n      - ~/home:/home\n      - /anonymous\n      - named:/n:rw\n      - { type: volume, source: outer, target: /o, \
         read_only: true }\n      - { type: bind, source: ., target: /b, bind: { create_host_path: true } }\n      \
         - { type: tmpfs, target: /t, tmpfs: { size: 1m, mode: 0700 } }\n\
         volumes: { data: , named: { name: the-name }, outer: { external: true }, unused: }\n",
    )
    .env("HOME", "/home/me");
    let project = case.project();
    let container = &project.accessories[0].service.container;
    let folder = case.path("");
    let folder = folder.trim_end_matches('/');
    let volume = |name: &str| MountSource::Volume(name.to_owned());
    let mounts: Vec<_> =
        container.mounts.iter().map(|mount| (mount.source.clone(), mount.target.as_str(), mount.read_only)).collect();
    let expected = [
        (volume("sample_data"), "/data", false),
        (MountSource::Bind(format!("{folder}/conf")), "/conf", true),
        (MountSource::Bind("/home/me/home".to_owned()), "/home", false),
        (MountSource::Anonymous, "/anonymous", false),
        (volume("the-name"), "/n", false),
        (volume("outer"), "/o", true),
        (MountSource::Bind(folder.to_owned()), "/b", false),
    ];
    assert_eq!(mounts, expected);
    let tmpfs = |target: &str, options: &str| Tmpfs { target: target.to_owned(), options: options.to_owned() };
    let expected = [tmpfs("/run", ""), tmpfs("/tmp", "size=64m,mode=1777"), tmpfs("/t", "size=1048576,mode=0700")];
    assert_eq!(container.tmpfs, expected);
    assert_eq!(project.volumes, ["sample_data", "the-name"].map(NewVolume::from));
    assert_eq!(project.external_volumes, ["outer"]);
}

#[test]
fn invalid_volumes_are_refused() {
    let refuses = |text: &str, message: &str, hint: &str| {
        Case::accessory(&format!("    volumes: [{text}]\nvolumes: {{ data: }}\n")).refuses(message, hint);
    };
    refuses("date:/x", "4:15: volume `date` is not declared", "did you mean `data`?");
    refuses("other:/x", "4:15: volume `other` is not declared", "add it at the end of the file: `volumes: { other: }`");
    refuses("\"data:x\"", "4:15: `x` is not an absolute path in the container", "start it with `/`");
    refuses(
        "\"data:/x:y\"",
        "4:15: volume option `y` is not supported",
        "use `ro`, `rw`, `z`, `nocopy` or a propagation such as `rslave`",
    );
    refuses(
        "{ type: npipe, target: /x }",
        "4:23: `type: npipe` is not supported",
        "use `volume`, `bind`, `tmpfs` or `image`; this one is for Windows, or for a cluster of hosts",
    );
    refuses("{ type: bind, target: /x }", "4:15: a bind mount needs its `source`", "add `source: ./folder`");
    refuses("{ type: bind }", "4:15: a volume needs its `target`", "add `target: /path`");
}

#[test]
fn networks_have_prefixed_names_and_aliases() {
    let case = Case::new(
        "services:\n  db: { image: d, networks: { back: { aliases: [data] }, outer: } }\n  \
         web: { image: w, x-deploy-apps: {}, networks: [back, default] }\n\
         networks: { back: { internal: true }, outer: { external: true, name: shared }, unused: }\n",
    );
    let project = case.project();
    let names = |container: &crate::model::ContainerSpec| -> Vec<String> {
        container.networks.iter().map(|found| format!("{} {}", found.network, found.aliases.join(","))).collect()
    };
    assert_eq!(names(&project.accessories[0].service.container), ["sample_back db,data", "shared db"]);
    assert_eq!(names(&project.apps[0].service.container), ["sample_back ", "sample_default "]);
    let own: Vec<_> = project.networks.iter().map(|(name, found)| (name.as_str(), found.internal)).collect();
    assert_eq!(own, [("sample_back", true), ("sample_default", false)]);
    assert_eq!(project.external_networks, ["shared"]);
    Case::accessory("    networks: [bcak]\nnetworks: { back: }\n")
        .refuses("4:16: network `bcak` is not declared", "did you mean `back`?");
    Case::app("    networks: { default: { ipv4_address: 10.0.0.2 } }\n").refuses(
        "5:28: `ipv4_address` is not supported for app `web`",
        "remove it: its replicas, old and new, run beside each other and cannot share one address",
    );
    let alias = Case::app("    networks: { default: { aliases: [w] } }\n").warnings();
    assert_eq!(
        alias,
        ["compose.yaml:5:28: requests to an alias of app `web` pass the proxy by, so they are not drained \
          (hint: use `http://web`, which is the proxy)"]
    );
}

#[test]
fn ports_of_accessories_have_short_and_long_forms() {
    let ports = |text: &str| -> Vec<String> {
        let container = Case::accessory(&format!("    ports: [{text}]\n")).container();
        let shown = container.ports.iter().map(|port| {
            format!(
                "{:?} {:?} {} {}",
                port.host_ip.as_deref().unwrap_or(""),
                port.host_port,
                port.container_port,
                port.protocol
            )
        });
        shown.collect()
    };
    assert_eq!(ports("80"), ["\"\" None 80 tcp"]);
    assert_eq!(ports("\"53:5353/udp\""), ["\"\" Some(53) 5353 udp"]);
    assert_eq!(ports("\"[::1]:80-81:90-91\""), ["\"::1\" Some(80) 90 tcp", "\"::1\" Some(81) 91 tcp"]);
    assert_eq!(ports("\"127.0.0.1::80\""), ["\"127.0.0.1\" None 80 tcp"]);
    assert_eq!(
        ports("{ target: 80, published: \"8080\", host_ip: 127.0.0.1, protocol: udp, mode: host }"),
        ["\"127.0.0.1\" Some(8080) 80 udp"]
    );
    for bad in ["a", "80:0", "1-3:1-2", "300.0.0.1:80:80", "80/tls", "70000", "5-1"] {
        Case::accessory(&format!("    ports: [\"{bad}\"]\n")).refuses(
            &format!("4:13: `{bad}` is not a port mapping"),
            "write such as `8080:80`, `127.0.0.1:8080:80` or `53:53/udp`",
        );
    }
    Case::accessory("    ports: [\"1-65535:1-65535\"]\n")
        .refuses("4:13: more than 1000 ports of one service", "publish fewer ports");
}
