//! The access log that the proxy keeps in files of its own, and what it makes of its memory limit.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::world::{Setup, World, eventually};

/// More than all connections write within a look of the proxy at its files.
const FILE_BYTES: u32 = 400_000;
const REQUESTS: usize = 4_000;

/// One request and its whole answer; the connection stays open.
async fn ask(stream: &mut TcpStream, id: &str) {
    let request = format!("GET /{id} HTTP/1.1\r\nHost: nobody.test\r\nX-Request-ID: {id}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let (mut text, mut chunk) = (String::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).await.expect("an answer");
        assert!(count > 0, "the proxy closed the connection of {id}");
        text.push_str(&String::from_utf8_lossy(&chunk[..count]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
        if body.len() >= length.parse::<usize>().expect("a number") {
            return;
        }
    }
}

async fn read_log(world: &World, args: &str) -> Vec<Value> {
    let text = world.exec(&format!("/etc/nginx/read-log.pl {args}")).await;
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn the_access_log_stays_within_two_files_and_closes_no_connection() {
    let world = World::with(Setup { access_log_bytes: Some(FILE_BYTES), ..Setup::default() }).await;
    let mut idle = TcpStream::connect(world.target).await.expect("a connection");
    ask(&mut idle, "first").await;
    let mut busy = TcpStream::connect(world.target).await.expect("a connection");
    for number in 0..REQUESTS {
        ask(&mut busy, &format!("n{number}")).await;
        if number % 400 == 0 {
            sleep(Duration::from_millis(300)).await;
        }
    }
    ask(&mut idle, "last").await;
    let newest = async || read_log(&world, "'' 1 ''").await.first().is_some_and(|line| line["request_id"] == "last");
    eventually("the last line is in the file", newest).await;

    let sizes = world.exec("cd /var/lib/deploy-apps/log && stat -c '%n %s' *").await;
    let sizes: Vec<(&str, u32)> = sizes
        .lines()
        .map(|line| line.split_once(' ').expect("name and size"))
        .map(|(name, size)| (name, size.parse().expect("a number")))
        .collect();
    assert_eq!(sizes.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["access.log", "access.log.1", "rotated"]);
    assert!(sizes.iter().all(|(_, size)| *size < 2 * FILE_BYTES), "{sizes:?}");
    let lines = read_log(&world, "'' '' ''").await;
    let ids: BTreeSet<&str> = lines.iter().filter_map(|line| line["request_id"].as_str()).collect();
    assert_eq!(ids.len(), lines.len(), "a line is there twice");
    // What is left is the end of it all, without a hole.
    let kept = lines.len() - 1;
    assert!(kept > 1_000 && kept < REQUESTS, "{kept} lines are kept");
    assert!((REQUESTS - kept..REQUESTS).all(|number| ids.contains(format!("n{number}").as_str())));
    let since = lines[kept]["time"].as_str().expect("a time").split('+').next().expect("its beginning");
    assert!(read_log(&world, &format!("{since} '' ''")).await.len() < lines.len());
    assert_eq!(read_log(&world, "2200-01-01T00:00:00 '' ''").await, [Value::Null; 0]);
}

async fn rotations(world: &World) -> usize {
    world.exec("cat /var/lib/deploy-apps/log/rotated").await.parse().unwrap_or(0)
}

#[tokio::test]
async fn a_reader_that_falls_behind_says_how_many_files_it_has_not_seen() {
    let world = World::with(Setup { access_log_bytes: Some(FILE_BYTES), ..Setup::default() }).await;
    let mut client = TcpStream::connect(world.target).await.expect("a connection");
    // While it stands still it has one file open, and two are kept.
    for (files, missing) in
        [(2, None), (3, Some("gone before they were read: 1")), (4, Some("gone before they were read: 2"))]
    {
        let begin = "echo \\$\\$ > /tmp/pid; exec /etc/nginx/read-log.pl '' 0 1";
        world.exec(&format!("rm -f /tmp/read; (sleep 120 | sh -c \"{begin}\") > /tmp/read 2>&1 &")).await;
        eventually("it follows", async || !world.exec("wc -c < /tmp/read | grep -v '^0$'").await.is_empty()).await;
        world.exec("kill -STOP $(cat /tmp/pid)").await;
        let before = rotations(&world).await;
        while rotations(&world).await < before + files {
            for number in 0..100 {
                ask(&mut client, &format!("f{files}-n{number}")).await;
            }
        }
        assert_eq!(rotations(&world).await, before + files);
        ask(&mut client, &format!("f{files}-last")).await;
        world.exec("kill -CONT $(cat /tmp/pid)").await;
        let caught_up = async || !world.exec(&format!("grep 'f{files}-last' /tmp/read")).await.is_empty();
        eventually("it has caught up", caught_up).await;
        let said = world.exec("grep '\"message\":' /tmp/read").await;
        assert_eq!(said.lines().count(), usize::from(missing.is_some()), "{said}");
        assert!(said.contains(missing.unwrap_or_default()), "{files}: {said}");
        let line = said.lines().next().map(serde_json::from_str::<Value>);
        assert!(line.is_none_or(|line| line.is_ok_and(|line| line["at"].is_number())), "{said}");
        world.exec("kill $(cat /tmp/pid)").await;
    }
}

#[tokio::test]
async fn workers_and_connections_fit_into_the_memory_limit() {
    let world = World::with(Setup { workers: 64, memory_bytes: Some(256 << 20), ..Setup::default() }).await;
    let said = world.exec("cat /run/deploy-apps/main.conf /run/deploy-apps/events.conf").await;
    assert_eq!(said, "worker_processes 3;\nworker_connections 768;");
}
