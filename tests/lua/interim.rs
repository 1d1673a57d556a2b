//! What comes before an answer, and what is none: the client always gets one correct answer, and the count falls.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::read_until;
use crate::raw::{Raw, Say};
use crate::world::{PATIENCE, World};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal";
const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";

/// Flips `app` to a backend that says these pieces, each in a packet of its own.
async fn serve(world: &World, pieces: &[&str]) -> Raw {
    let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    let backend = Raw::start(world.gateway, Say::Pieces(pieces)).await;
    world.flip(&[world.record("app", vec![world.peer("r1", backend.port)])]).await;
    backend
}

/// One answer of a connection that stays open: its head and body.
async fn answer(stream: &mut TcpStream) -> (String, String) {
    let mut text = Vec::new();
    let reading = async {
        loop {
            let seen = String::from_utf8_lossy(&text).into_owned();
            if let Some((head, body)) = seen.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let length: usize =
                    length.unwrap_or_else(|| panic!("no length in `{head}`")).parse().expect("a length");
                if body.len() >= length {
                    assert_eq!(body.len(), length, "bytes after the answer: `{seen}`");
                    return (head.to_owned(), body.to_owned());
                }
            }
            assert!(stream.read_buf(&mut text).await.expect("bytes") > 0, "ended after `{seen}`");
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time")
}

#[tokio::test]
async fn an_interim_answer_is_dropped_and_the_next_one_passed_on() {
    let world = World::start().await;
    let status = |code| format!("HTTP/1.1 {code} Wait\r\nX-Interim: 1\r\nContent-Length: 7\r\n\r\n");
    let (at_once, many) = (format!("{HINT}{OK}"), HINT.repeat(20) + OK);
    let (processing, unknown, unasked) = (status(102), status(199), "HTTP/1.1 100 Continue\r\n\r\n");
    let cases: [&[&str]; 8] = [
        &[HINT, OK],
        &[&at_once],
        &[&many],
        &[&processing, OK],
        &[&unknown, OK],
        &[unasked, OK],
        &[unasked, &processing, HINT, OK],
        // Cut in the middle of a line and between two answers.
        &[
            "HTTP/1.1 103 Ea",
            "rly Hints\r\nLink: x\r\n\r",
            "\nHTTP/1.",
            "1 200 OK\r\nContent-Length: 5\r\n\r\nfi",
            "nal",
        ],
    ];
    for pieces in cases {
        let backend = serve(&world, pieces).await;
        let mut client = TcpStream::connect(world.target).await.expect("a connection");
        for round in 0..3 {
            let request = if round == 1 {
                "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nbody"
            } else {
                "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n"
            };
            client.write_all(request.as_bytes()).await.expect("a sent request");
            let (head, body) = answer(&mut client).await;
            assert!(head.starts_with("HTTP/1.1 200 OK"), "{pieces:?}: {head}");
            assert!(body == "final" && !head.contains("Link") && !head.contains("X-Interim"), "{pieces:?}: {head}");
        }
        world.drained(&["r1".to_owned()]).await;
        drop(backend);
    }
}

#[tokio::test]
async fn what_is_no_answer_becomes_a_502() {
    let world = World::start().await;
    // The proxy forgives an announcement or two, not a stream of them.
    let endless = HINT.repeat(200);
    let cases: [&[&str]; 9] = [
        &["hello, I am no HTTP\r\n"],
        &["<html>old</html>"],
        &["HTTP/1.1 1000 X\r\nContent-Length: 5\r\n\r\nhello"],
        &["HTTP/1.1 099 X\r\nContent-Length: 5\r\n\r\nhello"],
        &["HTTP/1.1 20 X\r\nContent-Length: 5\r\n\r\nhello"],
        &["SSH-2.0-OpenSSH_9.9\r\n"],
        &["HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nsmuggled"],
        &[HINT, "no HTTP any more\r\n"],
        &[&endless, OK],
    ];
    for pieces in cases {
        let backend = serve(&world, pieces).await;
        let mut client = TcpStream::connect(world.target).await.expect("a connection");
        for _ in 0..2 {
            // An upgrade that is not passed on is none that the app was asked for.
            let request = "POST / HTTP/1.1\r\nHost: app.test\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx";
            client.write_all(request.as_bytes()).await.expect("a sent request");
            let (head, body) = answer(&mut client).await;
            assert!(head.starts_with("HTTP/1.1 502"), "{pieces:?}: {head}");
            assert!(body.contains("did not answer"), "{pieces:?}: {body}");
        }
        world.drained(&["r1".to_owned()]).await;
        drop(backend);
    }
}

#[tokio::test]
async fn an_upgrade_after_an_interim_answer_is_a_websocket() {
    let world = World::start().await;
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello";
    let _backend = serve(&world, &[HINT, switch]).await;
    let mut client =
        world.open("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n").await;
    let seen = read_until(&mut client, "hello").await;
    assert!(seen.starts_with("HTTP/1.1 101"), "{seen}");
    assert_eq!(world.in_flight(&["r1"]).await.websockets, 1);
    drop(client);
    world.drained(&["r1".to_owned()]).await;
}

#[tokio::test]
async fn an_app_that_answers_an_upload_early_is_heard() {
    let world = World::start().await;
    for status in [401, 413, 200] {
        let early = format!("HTTP/1.1 {status} Early\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly");
        let backend = Raw::start(world.gateway, Say::Hasty(early.into_bytes())).await;
        world.flip(&[world.record("app", vec![world.peer("r1", backend.port)])]).await;
        for round in 0..80 {
            let chunked = round % 2 == 1;
            let seen = upload(&world, chunked).await;
            assert!(seen.starts_with(&format!("HTTP/1.1 {status} Early")), "chunked {chunked}: {seen}");
            assert!(seen.ends_with("early"), "{seen}");
        }
        world.drained(&["r1".to_owned()]).await;
    }
}

/// Sends 2 MB, or as much of it as is taken, and gives the answer.
async fn upload(world: &World, chunked: bool) -> String {
    let framing = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 2097152" };
    let client = world.open(&format!("POST / HTTP/1.1\r\nHost: app.test\r\n{framing}\r\n\r\n")).await;
    let (mut reading, mut writing) = client.into_split();
    let sending = async move {
        let piece = if chunked {
            [b"8000\r\n".to_vec(), vec![b'x'; 32 << 10], b"\r\n".to_vec()].concat()
        } else {
            vec![b'x'; 32 << 10]
        };
        for _ in 0..64 {
            if writing.write_all(&piece).await.is_err() {
                break;
            }
        }
        if chunked {
            let _ = writing.write_all(b"0\r\n\r\n").await;
        }
        writing
    };
    let receiving = async move {
        let mut text = Vec::new();
        while !text.ends_with(b"early") && reading.read_buf(&mut text).await.is_ok_and(|read| read > 0) {}
        String::from_utf8_lossy(&text).into_owned()
    };
    let both = async { tokio::join!(sending, receiving).1 };
    tokio::time::timeout(Duration::from_secs(25), both).await.expect("an answer in time")
}
