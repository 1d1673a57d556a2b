//! Converts the engine's errors to our own: the kind for the rollout, the subject, and a hint.

use std::error::Error as _;
use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use bollard::errors::Error;
use regex::Regex;

use crate::ports::{EngineError, EngineErrorKind};

/// `doing` completes the sentence "could not …" and names the subject, such as "start container `shop-r3-1`".
pub(super) fn explain(doing: &str, error: &Error) -> EngineError {
    // Errors of our own connections are already clear.
    if let Some(ours) = cause::<EngineError>(error) {
        return lost(ours.kind, doing, &ours.message);
    }
    match error {
        Error::DockerResponseServerError { status_code, message } => from_text(doing, Some(*status_code), message),
        Error::DockerStreamError { error } => from_text(doing, None, error),
        Error::RequestTimeoutError => timed_out_without(doing),
        other => from_io(doing, other),
    }
}

pub(super) fn timed_out(doing: &str, limit: Duration) -> EngineError {
    EngineError::new(
        EngineErrorKind::TimedOut,
        format!("could not {doing}: the engine did not answer within {limit:?}"),
    )
    .hint(SLOW)
}

fn timed_out_without(doing: &str) -> EngineError {
    EngineError::new(EngineErrorKind::TimedOut, format!("could not {doing}: the engine did not answer in time"))
        .hint(SLOW)
}

const SLOW: &str = "`docker info` shows whether the engine still works";
pub(super) const FREE_DISK: &str =
    "`deploy-apps prune` removes old releases; `docker system df` shows what else takes the space";

/// Whether the text is the disk-full error of the engine or of a command that it ran.
pub(super) fn is_disk_full(text: &str) -> bool {
    text.to_lowercase().contains("no space left on device")
}

/// Classifies the engine's message; the status alone is ambiguous (409 has many meanings).
pub(super) fn from_text(doing: &str, status: Option<u16>, text: &str) -> EngineError {
    let text = text.trim();
    let lower = text.to_lowercase();
    let has = |needle: &str| lower.contains(needle);
    let error = |kind, reason: &str| EngineError::new(kind, format!("could not {doing}: {reason}"));

    if is_disk_full(text) {
        return error(EngineErrorKind::DiskFull, "no space left on the engine's disk").hint(FREE_DISK);
    }
    if has("port is already allocated") || (has("address already in use") && host_port(text).is_some()) {
        return match host_port(text) {
            Some(port) => error(EngineErrorKind::PortTaken, &format!("port {port} of the host is in use")).hint(
                format!("`docker ps --filter publish={port}` or `sudo ss -ltnp 'sport = :{port}'` shows by whom"),
            ),
            None => error(EngineErrorKind::PortTaken, &format!("a port of the host is in use ({text})")),
        };
    }
    if has("address already in use") {
        return error(EngineErrorKind::AddressTaken, "its fixed address is in use by another container");
    }
    if has("pool overlaps with other one") {
        return error(EngineErrorKind::AddressTaken, "its subnet overlaps that of another network")
            .hint("`docker network ls` shows the networks; remove the one that is not needed");
    }
    if has("non-overlapping ipv4 address pool") || has("address pools have been fully subnetted") {
        return error(EngineErrorKind::Other, "the engine has no address pool left for another network").hint(
            "`docker network prune` removes unused networks; `default-address-pools` in the engine's daemon.json makes \
             room for more, or give the network a `subnet` under `ipam` in the compose file",
        );
    }
    if has("is already in use by container") {
        return error(EngineErrorKind::Conflict, "a container of that name exists already");
    }
    if has("already exists") && status == Some(409) {
        return error(EngineErrorKind::Conflict, "that name exists already");
    }
    // The second message appears when an image is removed at that moment.
    if has("no such image") || (has("failed to get digest") && has("no such file or directory")) {
        return error(EngineErrorKind::ImageNotFound, "the engine does not have that image");
    }
    if has("executable file not found") || (has("exec:") && has("no such file or directory")) {
        return error(EngineErrorKind::Other, &format!("its command is not in the image ({})", innermost(text)))
            .hint("check `command`, `entrypoint` and the Dockerfile's CMD and ENTRYPOINT");
    }
    match status {
        Some(404) => error(EngineErrorKind::NotFound, &sentence(text)),
        _ => error(EngineErrorKind::Other, &sentence(text)),
    }
}

fn from_io(doing: &str, error: &Error) -> EngineError {
    let Some(cause) = cause::<io::Error>(error) else {
        // The error for a connection that ends before the answer has no source.
        if let Some(early) =
            cause::<hyper::Error>(error).filter(|early| early.is_incomplete_message() || early.is_closed())
        {
            return lost(EngineErrorKind::Unreachable, doing, &early.to_string());
        }
        return EngineError::new(EngineErrorKind::Other, format!("could not {doing}: {}", sentence(&chain(error))));
    };
    match cause.kind() {
        io::ErrorKind::PermissionDenied => EngineError::new(
            EngineErrorKind::PermissionDenied,
            format!("could not {doing}: the engine's socket may not be used by this user"),
        )
        .hint("`sudo usermod -aG docker $USER`, then log in again; or run with sudo"),
        _ => lost(EngineErrorKind::Unreachable, doing, &cause.to_string()),
    }
}

/// A connection that ended during a call.
fn lost(kind: EngineErrorKind, doing: &str, why: &str) -> EngineError {
    EngineError::new(kind, format!("could not {doing}: the connection to the engine was lost ({why})"))
        .hint("run the same command again when the engine is reachable: it finishes or undoes what was begun")
}

/// The first error of this type in the chain of sources, also inside of an [`io::Error`], which hides what it wraps.
pub(super) fn cause<'e, T: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        next = wrapped(current).or_else(|| current.source());
    }
    None
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(current) = next {
        let part = current.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        next = current.source();
    }
    text
}

/// The error wrapped by an error that does not return it as its source.
fn wrapped<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<Error>() {
        Some(Error::IOError { err }) => return Some(err),
        Some(Error::HyperResponseError { err }) => return Some(err),
        _ => {}
    }
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.map(|inner| inner as &(dyn std::error::Error + 'static))
}

/// Bollard reports this when the last newline of a stream arrives in a separate read, and also when the stream was cut.
/// So the end of a stream proves nothing, and its result is looked up instead.
pub(super) fn is_ragged_end(error: &Error) -> bool {
    cause::<io::Error>(error).is_some_and(|cause| cause.to_string().contains("bytes remaining on stream"))
}

/// The port in `0.0.0.0:8080`, `[::]:8080` or `:::8080`. Of several, the last one is the requested one.
fn host_port(text: &str) -> Option<u16> {
    static PORT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]*\]|::):(\d{1,5})\b").expect("a valid pattern")
    });
    PORT.captures(text).and_then(|found| found[1].parse().ok())
}

/// The last part of a runtime's long error chain.
fn innermost(text: &str) -> &str {
    text.find("exec: ").map_or(text, |start| text[start + "exec: ".len()..].trim_end_matches(": unknown"))
}

/// Converts the text to a fragment: lowercase, no full stop, on one line.
fn sentence(text: &str) -> String {
    let text = text.strip_prefix("Error response from daemon: ").unwrap_or(text);
    let text = text.trim().trim_end_matches('.').split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    match (letters.next(), letters.as_str().chars().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(letters).collect(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EngineErrorKind::{
        AddressTaken, Conflict, DiskFull, ImageNotFound, NotFound, Other, PermissionDenied, PortTaken, TimedOut,
        Unreachable,
    };

    fn server(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError { status_code, message: message.to_owned() }
    }

    #[test]
    fn every_engine_message_is_classified() {
        // The messages of engines 20.10 to 28; the wording has changed between them.
        let table = [
            (
                409,
                r#"Conflict. The container name "/a" is already in use by container "0f". You have to remove it."#,
                Conflict,
            ),
            (409, "network with name a already exists", Conflict),
            (
                500,
                "driver failed programming external connectivity on endpoint a (0f): Bind for 0.0.0.0:8080 failed: port is already allocated",
                PortTaken,
            ),
            (
                500,
                "driver failed programming external connectivity on endpoint a (0f): Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
                PortTaken,
            ),
            (
                500,
                "failed to set up container networking: driver failed programming external connectivity on endpoint a (0f): failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use",
                PortTaken,
            ),
            (
                500,
                "driver failed programming external connectivity on endpoint a (0f): Error starting userland proxy: listen tcp6 [::]:8080: bind: address already in use",
                PortTaken,
            ),
            (403, "Address already in use", AddressTaken),
            (500, "failed to set up container networking: Address already in use", AddressTaken),
            (403, "Pool overlaps with other one on this address space", AddressTaken),
            (
                404,
                "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
                Other,
            ),
            (500, "all predefined address pools have been fully subnetted", Other),
            (404, "No such image: nope:latest", ImageNotFound),
            (
                500,
                "failed to get digest sha256:0f: open /var/lib/docker/image/overlay2/imagedb/content/sha256/0f: no such file or directory",
                ImageNotFound,
            ),
            (404, "No such container: a", NotFound),
            (500, "write /var/lib/docker/tmp/x: no space left on device", DiskFull),
            (409, "container 0f is not running", Other),
        ];
        for (status, text, kind) in table {
            let error = explain("start container `a`", &server(status, text));
            assert_eq!(error.kind, kind, "{text}");
            assert!(error.message.starts_with("could not start container `a`: "), "{}", error.message);
            assert_eq!(
                error.message.contains("no address pool left"),
                text.contains(" pool among ") || text.contains("fully subnetted")
            );
            if kind == PortTaken {
                assert!(error.message.contains("port 8080 "), "{}", error.message);
            }
        }
    }

    #[test]
    fn a_missing_command_is_reported_without_the_error_chain() {
        let text = r#"failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown"#;
        assert_eq!(
            explain("start container `a`", &server(400, text)).message,
            r#"could not start container `a`: its command is not in the image ("nope": executable file not found in $PATH)"#
        );
    }

    #[test]
    fn a_lost_connection_differs_from_a_timeout() {
        let io = |kind: io::ErrorKind| Error::IOError { err: kind.into() };
        assert_eq!(explain("list", &io(io::ErrorKind::ConnectionReset)).kind, Unreachable);
        assert_eq!(explain("list", &io(io::ErrorKind::PermissionDenied)).kind, PermissionDenied);
        assert_eq!(explain("list", &Error::RequestTimeoutError).kind, TimedOut);
        assert!(is_ragged_end(&Error::IOError { err: io::Error::other("bytes remaining on stream") }));
    }

    #[test]
    fn unknown_messages_become_fragments() {
        assert_eq!(sentence("Something odd happened.\n"), "something odd happened");
        assert_eq!(sentence("OCI runtime failed"), "OCI runtime failed");
    }
}
