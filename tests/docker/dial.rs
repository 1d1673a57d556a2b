//! The stream to a process in a container.

use std::time::{Duration, Instant};

use deploy_apps::docker::{ExecDial, SocketDial};
use deploy_apps::model::{Mount, MountSource};
use deploy_apps::ports::{Dial, Engine, EngineError, EngineErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::world::{World, docker};

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn bytes_come_back_in_order_and_quickly() {
    let world = World::new().await;
    let name = world.run("echo", "sleep 60").await;
    let begun = Instant::now();
    let mut stream = ExecDial::new(world.engine.clone(), &name, words("cat")).dial().await.unwrap();
    let opened = begun.elapsed();

    let mut times = Vec::new();
    for round in 0..300u32 {
        let sent = format!("round {round:08} {}", "x".repeat(100));
        let begun = Instant::now();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut back = vec![0; sent.len()];
        stream.read_exact(&mut back).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(back, sent.as_bytes());
    }
    times.sort();
    println!("opened in {opened:?}, round trip p50 {:?} p99 {:?}", times[150], times[297]);

    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let expected = large.clone();
    let writer = tokio::spawn(async move {
        writing.write_all(&large).await.unwrap();
        writing.shutdown().await.unwrap();
        writing
    });
    let mut back = Vec::new();
    reading.read_to_end(&mut back).await.unwrap();
    assert!(back == expected, "{} bytes of {}", back.len(), expected.len());
    writer.await.unwrap();
}

#[tokio::test]
async fn dropping_the_stream_ends_the_process() {
    let world = World::new().await;
    let name = world.run("drop", "sleep 60").await;
    let mut stream = ExecDial::new(world.engine.clone(), &name, words("cat")).dial().await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.read_u8().await.unwrap();
    let running = || docker(&["top", &name, "-o", "pid,comm"]).contains("cat");
    assert!(running());
    drop(stream);
    let begun = Instant::now();
    while running() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_early_end_says_why() {
    let world = World::new().await;
    let name = world.run("why", "sleep 60").await;
    let read = async |command: &str| {
        let mut stream = ExecDial::new(world.engine.clone(), &name, words(command)).dial().await.unwrap();
        stream.read_u8().await.unwrap_err().to_string()
    };
    let failed = read("cat /no/such/file").await;
    assert!(failed.contains("`cat /no/such/file` failed") && failed.contains("No such file"), "{failed}");
    let missing = read("no-such-command").await;
    assert!(missing.contains("`no-such-command`") && missing.contains("not found"), "{missing}");

    let gone = ExecDial::new(world.engine.clone(), world.name("gone"), words("cat")).dial().await.err().unwrap();
    assert_eq!(gone.kind, EngineErrorKind::NotFound, "{gone}");
    world.engine.stop_container(&name, None, Some(Duration::ZERO)).await.unwrap();
    let stopped = ExecDial::new(world.engine.clone(), &name, words("cat")).dial().await.err().unwrap();
    assert!(stopped.message.contains("is not running"), "{stopped}");
}

/// A socket of this test in a folder that the container sees as `/here`, beside a link that leads there from outside.
#[tokio::test]
async fn a_socket_in_a_container_is_opened_without_a_process_in_there() {
    if !rustix::process::getuid().is_root() {
        return println!("skipped: the kernel allows it to root alone");
    }
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("sock")).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { stream.write_all(b"here").await });
        }
    });
    let mut container = world.container("socket", &format!("ln -s {} /out; sleep 60", folder.path().display()));
    container.spec.mounts.push(Mount {
        source: MountSource::Bind(folder.path().display().to_string()),
        target: "/here".to_owned(),
        ..Mount::default()
    });
    world.engine.create_container(&container).await.unwrap();
    world.engine.start_container(&container.name).await.unwrap();
    let dial = async |socket| {
        let mut said = String::new();
        let mut stream = SocketDial::new(world.engine.clone(), &container.name, socket).dial().await?;
        match stream.read_to_string(&mut said).await {
            Ok(_) => Ok(said),
            Err(error) => Ok(error.to_string()),
        }
    };
    assert_eq!(dial("/here/sock").await.unwrap(), "here");
    // The image has no `socat`, so that its name shows who was asked.
    let linked = dial("/out/sock").await.unwrap();
    assert!(
        linked.contains("`socat - UNIX-CONNECT:/out/sock`"),
        "a link leads no further than the container: {linked}"
    );

    docker(&["pause", &container.name]);
    let paused: EngineError = dial("/here/sock").await.unwrap_err();
    docker(&["unpause", &container.name]);
    assert!(paused.message.contains("paused"), "{paused}");
    assert_eq!(dial("/here/sock").await.unwrap(), "here");
}
