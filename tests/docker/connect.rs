//! Engines that are not there, say nothing or are too old.

use std::path::Path;

use deploy_apps::docker::connect;
use deploy_apps::ports::{Engine, EngineError, EngineErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::world::World;

async fn failure(socket: &Path) -> EngineError {
    let host = format!("unix://{}", socket.display());
    let result = connect(|name| (name == "DOCKER_HOST").then(|| host.clone())).await;
    result.err().expect("no engine")
}

#[tokio::test]
async fn the_engine_says_who_it_is() {
    let info = World::new().await.engine.info().await.unwrap();
    assert!(info.version.split('.').count() >= 2 && info.api.starts_with("1."), "{info:?}");
    assert_eq!(info.local, info.address.starts_with("unix://"));
}

#[tokio::test]
async fn a_missing_and_a_dead_socket_are_told_apart_and_lead_to_the_setup() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let missing = failure(&socket).await;
    drop(UnixListener::bind(&socket).unwrap());
    let dead = failure(&socket).await;
    assert!(missing.message.contains("there is no such socket"), "{missing}");
    assert!(dead.message.contains("nothing listens there"), "{dead}");
    for error in [missing, dead] {
        assert_eq!(error.kind, EngineErrorKind::Unreachable);
        assert!(error.hint.unwrap().contains("./deploy-apps --setup"));
    }
}

#[tokio::test]
async fn an_engine_that_says_nothing_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let _silent = UnixListener::bind(&socket).unwrap();
    let error = failure(&socket).await;
    assert_eq!(error.kind, EngineErrorKind::TimedOut, "{error}");
    assert!(error.message.contains("engine.sock") && error.message.contains("within 5s"), "{error}");
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let body = r#"{"Version":"19.03.15","ApiVersion":"1.40","MinAPIVersion":"1.12"}"#;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let error = failure(&socket).await;
    assert_eq!(error.kind, EngineErrorKind::TooOld, "{error}");
    assert!(error.message.contains("19.03.15") && error.message.contains("20.10"), "{error}");
}
