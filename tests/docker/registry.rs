//! Logins: what `docker login` has stored reaches a registry, for pulls and for builds.

use std::sync::{Arc, Mutex};

use deploy_apps::docker::{DockerEngine, connect};
use deploy_apps::model::BuildSpec;
use deploy_apps::ports::{Engine, EngineErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, folder, recording};

/// `ann:>>>??~~~o` in base64: a password whose JSON form has letters that the two alphabets write differently.
const LOGIN: &str = "YW5uOj4+Pj8/fn5+bw==";

/// A registry that wants a login and has no image. Keeps the credentials of each request for a token.
struct Registry {
    address: String,
    logins: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let logins = Arc::new(Mutex::new(Vec::new()));
        let registry = Self { address: address.clone(), logins: Arc::clone(&logins) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, address.clone(), Arc::clone(&logins)));
            }
        });
        registry
    }

    /// An engine whose user is logged in here.
    async fn engine(&self, config: &tempfile::TempDir) -> DockerEngine {
        let text = format!(r#"{{"auths":{{"{}":{{"auth":"{LOGIN}"}}}}}}"#, self.address);
        std::fs::write(config.path().join("config.json"), text).unwrap();
        let folder = config.path().to_string_lossy().into_owned();
        let env = |name: &str| if name == "DOCKER_CONFIG" { Some(folder.clone()) } else { std::env::var(name).ok() };
        connect(env).await.unwrap()
    }

    fn logins(&self) -> Vec<String> {
        self.logins.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, address: String, logins: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(1..) => {}
            _ => return,
        }
        // The engine tries TLS first, and plain HTTP when that is what answers.
        if request.first() == Some(&0x16) {
            let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await;
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let line = request.lines().next().unwrap_or_default();
    let authorization = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
    });
    let (status, extra, body) = if line.contains(" /token") {
        if line.starts_with("POST") {
            // This one knows only the older way to ask, with GET.
            ("405 Method Not Allowed", String::new(), "{}")
        } else {
            logins.lock().unwrap().push(authorization.unwrap_or_default());
            ("200 OK", String::new(), r#"{"token":"t","access_token":"t"}"#)
        }
    } else if authorization.is_none() {
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"test\"\r\n");
        ("401 Unauthorized", challenge, r#"{"errors":[{"code":"UNAUTHORIZED","message":"login"}]}"#)
    } else if line.contains("/manifests/") {
        ("404 Not Found", String::new(), r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)
    } else {
        ("200 OK", String::new(), "{}")
    };
    let body = if line.starts_with("HEAD") { "" } else { body };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{extra}\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

#[tokio::test]
async fn a_pull_logs_in_and_says_that_the_tag_is_unknown() {
    let (registry, config) = (Registry::start().await, tempfile::tempdir().unwrap());
    let engine = registry.engine(&config).await;
    let reference = format!("{}/dat-docker-nope:1", registry.address);
    let (progress, _) = recording();
    let error = engine.pull_image(&reference, progress).await.unwrap_err();
    assert_eq!(error.kind, EngineErrorKind::ImageNotFound, "{error}");
    assert!(error.message.contains("manifest unknown") && error.message.contains(&reference), "{error}");
    assert!(error.hint.unwrap().contains("name and tag"));
    assert!(registry.logins().contains(&format!("Basic {LOGIN}")), "{:?}", registry.logins());
}

#[tokio::test]
async fn a_build_logs_in_for_its_base_image() {
    let (world, registry, config) = (World::new().await, Registry::start().await, tempfile::tempdir().unwrap());
    for builder in ["buildkit", "classic"] {
        let folder = folder(&[("Dockerfile", &format!("FROM {}/dat-docker-{builder}:1\n", registry.address))]);
        let build = BuildSpec { pull: true, ..world.build(folder.path()) };
        let mut engine = registry.engine(&config).await;
        if builder == "classic" {
            let path = config.path().to_string_lossy().into_owned();
            engine = connect(|name| match name {
                "DOCKER_CONFIG" => Some(path.clone()),
                "DEPLOY_APPS_BUILDER" => Some("classic".to_owned()),
                other => std::env::var(other).ok(),
            })
            .await
            .unwrap();
        }
        registry.logins.lock().unwrap().clear();
        let (progress, _) = recording();
        let error = engine.build_image(&build, &world.name("base"), "0", progress).await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::BuildFailed, "{builder}: {error}");
        assert!(error.hint.is_some_and(|hint| hint.contains("base image")), "{builder}: {}", error.message);
        assert!(registry.logins().contains(&format!("Basic {LOGIN}")), "{builder}: {:?}", registry.logins());
    }
}
