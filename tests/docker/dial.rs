//! The stream to a process in a container.

use std::time::{Duration, Instant};

use deploy_apps::docker::ExecDial;
use deploy_apps::ports::{Dial, Engine, EngineErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
