//! Converts error messages of `ssh` to our own errors with hints.

use std::time::Duration;

use super::address::SshAddress;
use crate::ports::{EngineError, EngineErrorKind};

fn refuse(message: String) -> EngineError {
    EngineError::new(EngineErrorKind::Unreachable, message)
}

/// `code` is the exit code of the shell that ran `ssh`.
pub(super) fn of_login(words: &str, code: Option<i32>, address: &SshAddress) -> EngineError {
    let has = |text: &str| words.contains(text);
    let way = way(address);
    let no_login = |why: &str| refuse(format!("no ssh login at `{address}`: {why}"));
    let no_way = |why: &str| refuse(format!("no ssh connection to `{address}`: {why}"));
    if code == Some(127) && words.is_empty() {
        return refuse(format!("the `ssh` command is not installed here, and `{address}` is reached by it"))
            .hint("`sudo apt-get install openssh-client`, or the like of your system");
    }
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return no_login("its host key is not the one that is known").hint(format!(
            "somebody may be in between; if the host was set up again, `ssh-keygen -R {}`",
            known_as(address)
        ));
    }
    if has("Host key verification failed") || has("host key is known for") {
        return no_login("its host key is not known")
            .hint(format!("`{way}` once, compare the fingerprint that it shows, and answer `yes`"));
    }
    if has("UNPROTECTED PRIVATE KEY FILE") || has("bad permissions") {
        return no_login("others may read your private key, so `ssh` does not use it")
            .hint(format!("`chmod 600` for the file that `{way}` names"));
    }
    if has("Permission denied (") || has("Too many authentication failures") {
        return no_login("none of your keys is accepted").hint(format!(
            "`{way}` must work without a question: `ssh-add` loads a key that has a passphrase, `ssh-copy-id` brings one there"
        ));
    }
    if has("Could not resolve hostname") {
        return no_way("there is no host of that name")
            .hint("check the address; `ssh -G` shows what your configuration makes of it");
    }
    if has("Connection refused") {
        return no_way("nothing listens there").hint("check the port, and whether the ssh server runs on that host");
    }
    if has("timed out") || has("Timeout, server") {
        return no_way("no answer in time").hint(format!("`{way}` shows whether it is reachable from here"));
    }
    if has("No route to host") || has("Network is unreachable") {
        return no_way("no way leads there").hint(format!("`{way}` shows whether it is reachable from here"));
    }
    let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last = last.map_or_else(|| "it ended without a word".to_owned(), str::to_owned);
    no_way(&last).hint(format!("`{way}` must work without a question"))
}

pub(super) fn late(address: &SshAddress, limit: Duration) -> EngineError {
    let message = format!("no ssh login at `{address}` within {limit:?}");
    EngineError::new(EngineErrorKind::TimedOut, message).hint(format!("`{}` shows where it stops", way(address)))
}

/// `found` is the remote host's answer about `socket`. Ok means that its docker command may work.
pub(super) fn judge(found: &str, socket: &str, address: &SshAddress) -> Result<(), EngineError> {
    let host = &address.host;
    let mut lines = found.lines();
    match (lines.next(), lines.next()) {
        (Some("denied"), _) => {
            let user = lines.next().or(address.user.as_deref()).unwrap_or("you");
            let message = format!("user `{user}` may not use the engine's socket `{socket}` on `{host}`");
            Err(EngineError::new(EngineErrorKind::PermissionDenied, message)
                .hint(format!("on that host: `sudo usermod -aG docker {user}`")))
        }
        (Some("missing"), Some("none")) => {
            Err(refuse(format!("no container engine at `{address}`: there is no socket `{socket}` on that host"))
                .hint("start the engine there, or name its socket: `ssh://user@host/path/of.sock`"))
        }
        (Some("usable"), Some("none")) => {
            let message =
                format!("the ssh server of `{host}` forwards no sockets, and that host has no `docker` command");
            Err(refuse(message)
                .hint("set `AllowStreamLocalForwarding yes` in its sshd_config, or install the docker command there"))
        }
        // A login that only allows docker's command does not answer the probe.
        _ => Ok(()),
    }
}

/// The error when the remote docker command cannot reach the engine.
pub(super) fn of_docker(words: &str, address: &SshAddress) -> Option<EngineError> {
    let host = &address.host;
    if words.contains("permission denied while trying to connect") {
        let message = format!("this user may not use the engine on `{host}`");
        return Some(
            EngineError::new(EngineErrorKind::PermissionDenied, message)
                .hint("on that host: `sudo usermod -aG docker $USER`"),
        );
    }
    if words.contains("Cannot connect to the Docker daemon") {
        return Some(
            refuse(format!("no container engine at `{address}`: it does not run on that host")).hint("start it there"),
        );
    }
    if words.contains("not found") {
        return Some(
            refuse(format!("there is no `docker` command on `{host}`"))
                .hint("set `AllowStreamLocalForwarding yes` in its sshd_config, or install the docker command there"),
        );
    }
    None
}

/// The error for output in place of the engine's answer.
pub(super) fn noisy(address: &SshAddress) -> EngineError {
    refuse(format!("the login at `{address}` prints text of its own where the engine's answer belongs"))
        .hint(format!("`{} true` must print nothing: silence the shell's start files, such as ~/.bashrc, where nobody is at a terminal", way(address)))
}

/// The command for a manual test.
fn way(address: &SshAddress) -> String {
    let port = address.port.map(|port| format!("-p {port} ")).unwrap_or_default();
    let user = address.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    format!("ssh {port}{user}{}", address.host)
}

/// The host's name in the known hosts file.
fn known_as(address: &SshAddress) -> String {
    match address.port {
        Some(port) if port != 22 => format!("'[{}]:{port}'", address.host),
        _ => address.host.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_errors_become_a_reason_and_a_hint() {
        let address =
            SshAddress { user: Some("ann".to_owned()), host: "far".to_owned(), port: Some(2222), socket: None };
        let table = [
            ("", Some(127), "the `ssh` command is not installed here", "openssh-client"),
            ("Host key verification failed.\r\n", Some(255), "its host key is not known", "`ssh -p 2222 ann@far` once"),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                Some(255),
                "not the one that is known",
                "ssh-keygen -R '[far]:2222'",
            ),
            ("ann@far: Permission denied (publickey).", Some(255), "none of your keys is accepted", "ssh-add"),
            (
                "ssh: Could not resolve hostname far: Name or service not known",
                Some(255),
                "there is no host of that name",
                "ssh -G",
            ),
            ("ssh: connect to host far port 2222: Connection refused", Some(255), "nothing listens there", "port"),
            ("ssh: connect to host far port 2222: Connection timed out", Some(255), "no answer in time", "reachable"),
            ("line one\nsomething odd\n\n", Some(255), "something odd", "without a question"),
            ("", Some(255), "it ended without a word", "without a question"),
        ];
        for (words, code, message, hint) in table {
            let error = of_login(words, code, &address);
            assert!(error.message.contains(message) && error.message.contains("`ssh://ann@far:2222`"), "{error:?}");
            assert!(error.hint.as_deref().unwrap().contains(hint), "{error:?}");
        }
    }

    #[test]
    fn the_remote_socket_is_checked_before_its_docker_command() {
        let address = SshAddress { user: None, host: "far".to_owned(), port: None, socket: None };
        let judged = |found: &str| judge(found, "/run/d.sock", &address);
        assert_eq!(judged("usable\ndocker\nann\n"), Ok(()));
        assert_eq!(judged("missing\ndocker\nann\n"), Ok(()));
        assert_eq!(judged("This service allows one command only.\n"), Ok(()));
        let denied = judged("denied\ndocker\nann\n").unwrap_err();
        assert_eq!(
            (denied.kind, denied.hint.as_deref()),
            (EngineErrorKind::PermissionDenied, Some("on that host: `sudo usermod -aG docker ann`"))
        );
        assert!(judged("missing\nnone\nann\n").unwrap_err().message.contains("there is no socket `/run/d.sock`"));
        assert!(judged("usable\nnone\nann\n").unwrap_err().message.contains("forwards no sockets"));
    }
}
