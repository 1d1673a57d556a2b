//! Engines that are not there, may not be used, or are too old.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::harness::{App, Scenario, skipped};
use crate::input_file::is;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_not_there_is_named_by_its_address() {
    let host = Scenario::new("no-engine").app(App::new("web")).start().await;
    let socket = host.folder().join("nothing.sock");
    let output = host.cli(&["web"]).env("DOCKER_HOST", &format!("unix://{}", socket.display())).run().await;
    is(
        &host,
        output,
        7,
        "error: no container engine at `unix://FOLDER/nothing.sock`: there is no such socket\n\n\
         hint: `./deploy-apps --setup` installs and starts it",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_may_not_be_used_is_told_with_the_group_that_may() {
    if !rustix::process::getuid().is_root() {
        skipped("only root can run the binary as somebody else");
        return;
    }
    let host = Scenario::new("no-permission").app(App::new("web")).start().await;
    let socket = host.folder().join("engine.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    std::fs::set_permissions(host.folder(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
    // The user may not read where the binary was built, so it gets a copy.
    let copy = host.folder().join("deploy-apps");
    std::fs::copy(crate::harness::binary(), &copy).expect("a copy");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args([copy.as_os_str(), "web".as_ref()])
        .current_dir(host.folder())
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .output()
        .expect("setpriv");
    is(
        &host,
        output.into(),
        7,
        "error: the container engine's socket `unix://FOLDER/engine.sock` may not be used by this user\n\n\
         hint: `sudo usermod -aG docker $USER`, then log in again; or run with sudo",
    );
}

/// Answers as an engine of 2017 would, which is all that is asked of it.
async fn old_engine(listener: UnixListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut request).await {
                let asked = String::from_utf8_lossy(&request[..length]);
                let body = match asked.split_whitespace().nth(1) {
                    Some(path) if path.ends_with("/version") => {
                        r#"{"Version":"17.06.2-ce","ApiVersion":"1.30","MinAPIVersion":"1.12"}"#
                    }
                    _ => "OK",
                };
                let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.30\r\nContent-Type: application/json";
                let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_too_old_is_told_with_the_oldest_that_works() {
    let host = Scenario::new("old-engine").app(App::new("web")).start().await;
    let socket = host.folder().join("old.sock");
    let engine = tokio::spawn(old_engine(UnixListener::bind(&socket).expect("a socket")));
    let output = host.cli(&["web"]).env("DOCKER_HOST", &format!("unix://{}", socket.display())).run().await;
    is(
        &host,
        output,
        7,
        "error: the engine is version 17.06.2-ce with API 1.30; version 20.10 with API 1.41 is the oldest that works\n\n\
         hint: upgrade Docker Engine on that host",
    );
    engine.abort();
}
