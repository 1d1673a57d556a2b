//! What a world is made of: the proxy's images, a network, a container.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock};

use deploy_apps::docker::DockerEngine;
use deploy_apps::model::{
    BuildSpec, ContainerSpec, Mount, MountSource, NetworkAttachment, NetworkSettings, NewContainer, NewNetwork,
    OwnLabels, ProxyName, Resources, Role, Tmpfs,
};
use deploy_apps::ports::Engine;
use indexmap::IndexMap;
use tokio::sync::OnceCell;

use super::World;

/// Kept after the run: the next one then builds from the engine's cache. Of each folder one: another checkout's tests may
/// build theirs at the same time.
static IMAGE: LazyLock<String> = LazyLock::new(|| {
    let folder = env!("CARGO_MANIFEST_DIR").bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
    format!("deploy-apps-test-lua-{folder:08x}")
});
/// The race that the second look at the generation decides lasts a microsecond, unless the kernel takes the processor
/// from the worker just then. Here that happens to every request, for 10 ms.
const SLOW_DOCKERFILE: &str = r#"
USER root
RUN sed -i '$d' /etc/nginx/lua/traffic/pick.lua && printf '%s\n' \
    'local ffi, pick = require "ffi", _M.pick' 'ffi.cdef "int usleep(unsigned int microseconds);"' \
    'function _M.pick(...)' 'local peer = pick(...)' 'ffi.C.usleep(10000)' 'return peer' 'end' \
    'return _M' >> /etc/nginx/lua/traffic/pick.lua
USER 10001:10001
"#;
/// A client that pauses in its body, or whose head is not there, is given up after a second.
const IMPATIENT_DOCKERFILE: &str = r"
USER root
RUN sed -i 's/client_body_timeout 5m;/client_body_timeout 1s;/; s/client_header_timeout 60s;/client_header_timeout 1s;/' \
        /etc/nginx/nginx.conf \
    && grep -q 'client_body_timeout 1s;' /etc/nginx/nginx.conf && grep -q 'client_header_timeout 1s;' /etc/nginx/nginx.conf
USER 10001:10001
";
/// Without the line that keeps apps from sending a request round again inside nginx: the count has to hold without it.
const OBEDIENT_DOCKERFILE: &str = r"
USER root
RUN sed -i '/proxy_ignore_headers/d' /etc/nginx/nginx.conf
USER 10001:10001
";
const STATE: &str = "/var/lib/deploy-apps";

/// The image whose proxy a test wants.
#[derive(Clone, Copy, Default)]
pub enum Variant {
    #[default]
    Usual,
    /// Workers are held up between picking a request's peer and counting it there.
    SlowToCount,
    /// A body may pause for a second, not for minutes; a head has one second, not 60.
    Impatient,
    /// nginx follows an app's `X-Accel-Redirect`.
    Obedient,
}

impl Variant {
    pub(super) fn image(self) -> String {
        let tag = match self {
            Self::Usual => "latest",
            Self::SlowToCount => "slow",
            Self::Impatient => "impatient",
            Self::Obedient => "obedient",
        };
        format!("{}:{tag}", *IMAGE)
    }

    /// What is built on the usual image.
    fn dockerfile(self) -> Option<String> {
        let lines = match self {
            Self::Usual => return None,
            Self::SlowToCount => SLOW_DOCKERFILE,
            Self::Impatient => IMPATIENT_DOCKERFILE,
            Self::Obedient => OBEDIENT_DOCKERFILE,
        };
        Some(format!("FROM {}\n{lines}", Self::Usual.image()))
    }
}

/// What a test wants otherwise than usual.
pub struct Setup {
    pub workers: u32,
    /// The state on a file system of this size instead of a volume.
    pub state_size: Option<&'static str>,
    pub variant: Variant,
    /// Whom the proxy believes about a client.
    pub trusted_proxies: &'static str,
    /// A listener with the PROXY protocol, at port 8081.
    pub proxy_protocol: bool,
    /// A listener for HTTPS, at port 443 of the container whatever this is.
    pub https_port: Option<u16>,
    /// The access log in files of so many bytes instead of on stdout.
    pub access_log_bytes: Option<u32>,
    pub memory_bytes: Option<i64>,
    /// Of each worker; what the machine allows when there is none.
    pub connections: Option<u32>,
    /// What one address may hold; its usual share when there is none.
    pub connections_per_client: Option<u32>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            workers: 2,
            state_size: None,
            variant: Variant::Usual,
            trusted_proxies: "",
            proxy_protocol: false,
            https_port: None,
            access_log_bytes: None,
            memory_bytes: None,
            connections: None,
            connections_per_client: None,
        }
    }
}

impl World {
    /// The first of our networks that nobody has.
    pub(super) async fn create_network(&mut self, proxy: &ProxyName) -> String {
        static THIRD: AtomicU8 = AtomicU8::new(0);
        let name = self.network();
        for _ in 0..64 {
            let third = THIRD.fetch_add(1, Ordering::Relaxed);
            let address = |last| Ipv4Addr::new(10, 198, third, last);
            let network = NewNetwork {
                name: name.clone(),
                project: None,
                proxy: proxy.clone(),
                subnet: Some(format!("10.198.{third}.0/24").parse().expect("a subnet")),
                dynamic_range: None,
                gateway: Some(address(1)),
                settings: NetworkSettings::default(),
            };
            if self.engine.create_network(&network).await.is_ok() {
                self.gateway = address(1);
                self.target = SocketAddr::new(IpAddr::V4(address(2)), 80);
                return name;
            }
        }
        panic!("no free network among 64 in 10.198.0.0/16");
    }

    pub(super) async fn create_proxy(&self, proxy: ProxyName, network: String, setup: &Setup) {
        let IpAddr::V4(address) = self.target.ip() else { unreachable!("the target is IPv4") };
        let tmpfs = |target: &str, size: &str| Tmpfs {
            target: target.to_owned(),
            options: format!("size={size},mode=0750,uid=10001,gid=10001"),
        };
        let mut spec = ContainerSpec {
            read_only: true,
            cap_drop: vec!["ALL".to_owned()],
            security_opt: vec!["no-new-privileges".to_owned()],
            // So small that a body or an answer which is buffered on disk does not fit.
            tmpfs: vec![tmpfs("/run/deploy-apps", "1m"), tmpfs("/tmp", "8m")],
            networks: vec![NetworkAttachment {
                network,
                aliases: Vec::new(),
                address: Some(address),
                ..NetworkAttachment::default()
            }],
            environment: IndexMap::from([
                ("WORKERS".to_owned(), setup.workers.to_string()),
                ("TRUSTED_PROXIES".to_owned(), setup.trusted_proxies.to_owned()),
                ("PROXY_PROTOCOL".to_owned(), if setup.proxy_protocol { "on" } else { "off" }.to_owned()),
            ]),
            resources: Resources { memory_bytes: setup.memory_bytes, ..Resources::default() },
            labels: IndexMap::from([("deploy-apps.test".to_owned(), "lua".to_owned())]),
            ..ContainerSpec::default()
        };
        if let Some(bytes) = setup.access_log_bytes {
            spec.environment.insert("ACCESS_LOG".to_owned(), "file".to_owned());
            spec.environment.insert("ACCESS_LOG_BYTES".to_owned(), bytes.to_string());
        }
        if let Some(port) = setup.https_port {
            spec.environment.insert("HTTPS_PORT".to_owned(), port.to_string());
        }
        if let Some(connections) = setup.connections {
            spec.environment.insert("WORKER_CONNECTIONS".to_owned(), connections.to_string());
        }
        if let Some(connections) = setup.connections_per_client {
            spec.environment.insert("CONNECTIONS_PER_CLIENT".to_owned(), connections.to_string());
        }
        match setup.state_size {
            Some(size) => spec.tmpfs.push(tmpfs(STATE, size)),
            None => {
                let volume = format!("{}-state", self.prefix);
                self.engine.create_volume(&volume.as_str().into()).await.expect("a volume");
                spec.mounts =
                    vec![Mount { source: MountSource::Volume(volume), target: STATE.to_owned(), ..Mount::default() }];
            }
        }
        let labels = OwnLabels {
            role: Role::Proxy,
            proxy,
            project: None,
            service: None,
            release: None,
            replica: None,
            version: None,
            identity: String::new(),
            tuning: None,
        };
        let container = NewContainer { name: self.prefix.clone(), image: setup.variant.image(), spec, labels };
        self.engine.create_container(&container).await.expect("a proxy");
    }
}

/// Builds all images once for all tests; they all wait for it.
pub(super) async fn build_images(engine: &DockerEngine) {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT
        .get_or_init(async || {
            for variant in [Variant::Usual, Variant::SlowToCount, Variant::Impatient, Variant::Obedient] {
                build_image(engine, &variant.image(), variant.dockerfile()).await;
            }
        })
        .await;
}

async fn build_image(engine: &DockerEngine, tag: &str, dockerfile: Option<String>) {
    let build = BuildSpec {
        context: Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx"),
        dockerfile: "Dockerfile".into(),
        dockerfile_inline: dockerfile,
        args: IndexMap::from([("BUILD_ID".to_owned(), "test".to_owned())]),
        target: None,
        labels: IndexMap::new(),
        network: None,
        extra_hosts: Vec::new(),
        ..BuildSpec::default()
    };
    let digest = engine.source_digest(&build).await.expect("a digest");
    engine.build_image(&build, tag, &digest, Arc::new(|_| {})).await.expect("an image of the proxy");
}
