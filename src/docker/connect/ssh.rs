//! An engine behind ssh: all connections use the forwarded socket of one `ssh` process.
//!
//! The user's `ssh` command is used with its configuration, agent, known hosts and jump hosts. It never prompts: a
//! deploy must not stop at a prompt, especially when it reconnects during the run.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use super::address::{DEFAULT_SOCKET, SshAddress};
use super::ssh_trouble;
use crate::ports::{Duplex, EngineError, EngineErrorKind};

/// Limit from the start of `ssh` to the login; its own connect timeout is shorter.
const LOGIN_LIMIT: Duration = Duration::from_secs(20);
/// Limit of one command over an existing login.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum length of a socket path, minus what `ssh` appends to its own.
const LONGEST_FOLDER: usize = 70;
/// Enough for any error message; bounds the memory for a login banner.
const KEPT_WORDS: usize = 8 * 1024;

/// Runs `ssh` until our end of its stdin is closed, which happens however we exit, and then removes the folder. It has
/// its own process group: we handle Ctrl-C in the terminal ourselves, and the undo still needs the link.
const GUARD: &str = r#"
command -v ssh >/dev/null || { rm -rf -- "$1"; exit 127; }
folder=$1; shift
exec 3<&0 </dev/null
ssh "$@" 3<&- &
ssh=$!
{ read -r _ <&3; kill "$ssh"; sleep 2; kill -9 "$ssh"; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$ssh"
code=$?
kill "$watch" 2>/dev/null
rm -rf -- "$folder"
exit "$code"
"#;

/// Separates our output from what the start files of a login shell print.
const MARK: &str = "deploy-apps-begins-here";
/// Maximum output of a shell before the mark.
const MOST_NOISE: usize = 64 * 1024;

/// Prints what the socket is on that host, whether there is a docker command, and the user name. It follows [`MARK`];
/// output before the mark is the shell's.
const PROBE: &str = r#"echo "$2"; if [ ! -e "$1" ]; then echo missing; elif [ -r "$1" ] && [ -w "$1" ]; then echo usable; else echo denied; fi
if command -v docker >/dev/null 2>&1; then echo docker; else echo none; fi
id -un"#;

/// Options for all `ssh` commands: never prompt, no extra features, detect a dead link within 15 s.
const OPTIONS: [&str; 18] = [
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=10",
    "-o",
    "ServerAliveInterval=5",
    "-o",
    "ServerAliveCountMax=3",
    "-o",
    "ClearAllForwardings=yes",
    "-o",
    "ExitOnForwardFailure=no",
    "-o",
    "RemoteCommand=none",
    "-o",
    "LogLevel=ERROR",
    "-Tx",
    "-a",
];

pub(super) struct Ssh {
    address: SshAddress,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// The host refuses socket forwarding, so each connection runs `docker system dial-stdio` there.
    by_command: bool,
    /// The remote shell prints text before it runs our command, so output is skipped up to a mark.
    is_noisy: bool,
}

impl Ssh {
    pub(super) fn new(address: SshAddress) -> Self {
        Self { address, state: tokio::sync::Mutex::default() }
    }

    /// Opens a connection, after a login if there is none.
    pub(super) async fn dial(&self) -> Result<Box<dyn Duplex>, EngineError> {
        let mut state = self.state.lock().await;
        let session = match &state.session {
            Some(session) if session.is_alive() => Arc::clone(session),
            _ => {
                let session = Arc::new(Session::start(&self.address).await?);
                state.session = Some(Arc::clone(&session));
                session
            }
        };
        let (by_command, is_noisy) = (state.by_command, state.is_noisy);
        drop(state);
        match (by_command, is_noisy) {
            (false, _) => session.dial().await,
            (true, false) => Ok(Box::new(session.docker(&self.address, "")?)),
            (true, true) => session.docker_after_noise(&self.address).await,
        }
    }

    /// Called when the first call over the link got no answer. Finds out why, and switches to the other method if
    /// possible.
    pub(super) async fn look_for_another_way(&self) -> Result<(), EngineError> {
        let mut state = self.state.lock().await;
        let Some(session) = state.session.clone() else { return Ok(()) };
        if state.by_command || !session.is_alive() {
            return Err(session.trouble(&self.address));
        }
        let socket = self.address.socket.as_deref().unwrap_or(DEFAULT_SOCKET);
        let quoted = socket.replace('\'', r"'\''");
        let found = session.run(&self.address, &format!("sh -c '{PROBE}' sh '{quoted}' {MARK}")).await?;
        // A login that only allows a fixed command prints no mark.
        let (noise, found) = found.split_once(&format!("{MARK}\n")).unwrap_or(("", &found));
        ssh_trouble::judge(found, socket, &self.address)?;
        state.by_command = true;
        state.is_noisy = !noise.is_empty();
        Ok(())
    }

    /// The last error message of the remote docker command.
    pub(super) async fn last_words(&self) -> Option<EngineError> {
        let state = self.state.lock().await;
        let words = state.session.as_ref()?.words();
        ssh_trouble::of_docker(&words, &self.address)
    }

    /// The error for an answer that does not come from the engine.
    pub(super) fn noisy(&self) -> EngineError {
        ssh_trouble::noisy(&self.address)
    }
}

/// The host name that `ssh` connects to, which the user's configuration may change.
pub(super) async fn real_host(address: &SshAddress) -> String {
    let asked = Command::new("ssh").args(["-G"]).args(destination(address)).stdin(Stdio::null()).output();
    let output = timeout(COMMAND_LIMIT, asked).await.ok().and_then(Result::ok);
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("hostname "));
    name.unwrap_or(&address.host).to_owned()
}

fn destination(address: &SshAddress) -> Vec<String> {
    let user = address.user.iter().flat_map(|user| ["-l".to_owned(), user.clone()]);
    let port = address.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]);
    user.chain(port).chain(["--".to_owned(), address.host.clone()]).collect()
}

/// A login with its forwarded socket. Dropping it ends `ssh` and removes the socket.
struct Session {
    folder: PathBuf,
    child: Mutex<Child>,
    /// Held so that dropping it ends the guard script.
    _lifeline: Option<ChildStdin>,
    words: Words,
}

type Words = Arc<Mutex<String>>;

impl Session {
    async fn start(address: &SshAddress) -> Result<Self, EngineError> {
        let folder = private_folder().map_err(|error| {
            EngineError::new(EngineErrorKind::Other, format!("no folder can be made for the socket of `ssh`: {error}"))
        })?;
        let control = folder.path().join("control");
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "deploy-apps-ssh"]).arg(folder.path());
        command
            .args(["-N", "-M", "-o", "ControlPersist=no", "-S"])
            .arg(&control)
            .args(OPTIONS)
            .args(destination(address));
        // Error messages are parsed, so they must be in English.
        command.env("LC_ALL", "C").process_group(0);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| {
            EngineError::new(EngineErrorKind::Unreachable, format!("`sh` could not be run to start `ssh`: {error}"))
        })?;
        let words = Words::default();
        let listener = child.stderr.take().map(|stderr| tokio::spawn(listen(stderr, Arc::clone(&words))));
        let lifeline = child.stdin.take();
        // The guard script removes it from now on.
        let folder = folder.keep();
        let session = Self { folder, child: Mutex::new(child), _lifeline: lifeline, words };
        let deadline = Instant::now() + LOGIN_LIMIT;
        while !control.exists() {
            if let Some(status) = session.ended() {
                // `ssh` may still be writing its last message.
                if let Some(listener) = listener {
                    drop(timeout(COMMAND_LIMIT, listener).await);
                }
                return Err(ssh_trouble::of_login(&session.words(), status.code(), address));
            }
            if Instant::now() >= deadline {
                return Err(ssh_trouble::late(address, LOGIN_LIMIT));
            }
            sleep(LOOK_INTERVAL).await;
        }
        session.forward(address).await?;
        Ok(session)
    }

    /// Requests the forwarding from the running `ssh`: on its command line it would be cleared together with the user's
    /// forwardings.
    async fn forward(&self, address: &SshAddress) -> Result<(), EngineError> {
        let remote = address.socket.as_deref().unwrap_or(DEFAULT_SOCKET);
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-O", "forward", "-S"]).arg(self.folder.join("control"));
        command.arg("-L").arg(format!("{}:{remote}", self.socket().display())).arg("engine");
        let output = bounded(command, "forward a socket", address).await?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(EngineError::new(
            EngineErrorKind::Unreachable,
            format!("`ssh` could not forward a socket to `{address}`: {said}"),
        ))
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("engine.sock")
    }

    async fn dial(&self) -> Result<Box<dyn Duplex>, EngineError> {
        match UnixStream::connect(self.socket()).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                Err(EngineError::new(EngineErrorKind::Unreachable, format!("the `ssh` process is gone ({error})")))
            }
        }
    }

    /// One connection to the engine, after skipping the shell's output.
    async fn docker_after_noise(&self, address: &SshAddress) -> Result<Box<dyn Duplex>, EngineError> {
        let mut stream = self.docker(address, &format!("echo {MARK} && "))?;
        let mark = format!("{MARK}\n");
        let skip = async {
            let mut seen = Vec::new();
            while !seen.ends_with(mark.as_bytes()) {
                // Byte by byte: everything after the mark belongs to the engine.
                match stream.read_u8().await {
                    Ok(byte) if seen.len() < MOST_NOISE => seen.push(byte),
                    _ => return false,
                }
            }
            true
        };
        if timeout(COMMAND_LIMIT, skip).await.unwrap_or(false) {
            return Ok(Box::new(stream));
        }
        Err(ssh_trouble::of_docker(&self.words(), address).unwrap_or_else(|| ssh_trouble::noisy(address)))
    }

    /// Runs `docker system dial-stdio` on the host, after the command `before`.
    fn docker(
        &self,
        address: &SshAddress,
        before: &str,
    ) -> Result<tokio::io::Join<BufReader<ChildStdout>, ChildStdin>, EngineError> {
        let mut docker = vec!["docker".to_owned()];
        if let Some(socket) = &address.socket {
            docker.push(format!("-H 'unix://{}'", socket.replace('\'', r"'\''")));
        }
        docker.push("system dial-stdio".to_owned());
        let mut command = self.command(address, &format!("{before}{}", docker.join(" ")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_run(&error))?;
        let (Some(input), Some(output), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three are piped");
        };
        tokio::spawn(listen(stderr, Arc::clone(&self.words)));
        // Waits for the process, which exits when both of its pipes are closed, so that it does not stay a zombie.
        tokio::spawn(async move { child.wait().await });
        Ok(tokio::io::join(BufReader::new(output), input))
    }

    /// The output of a command on that host.
    async fn run(&self, address: &SshAddress, line: &str) -> Result<String, EngineError> {
        let output = bounded(self.command(address, line), "ask", address).await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A command over this login. Beyond the host's session limit, `ssh` opens a new connection.
    fn command(&self, address: &SshAddress, line: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-o", "ControlMaster=no", "-S"]).arg(self.folder.join("control")).args(OPTIONS);
        command.args(destination(address)).arg(line).env("LC_ALL", "C").process_group(0);
        command
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok().flatten()
    }

    fn is_alive(&self) -> bool {
        self.ended().is_none()
    }

    fn words(&self) -> String {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn trouble(&self, address: &SshAddress) -> EngineError {
        let code = self.ended().and_then(|status| status.code());
        ssh_trouble::of_docker(&self.words(), address)
            .unwrap_or_else(|| ssh_trouble::of_login(&self.words(), code, address))
    }
}

async fn bounded(mut command: Command, doing: &str, address: &SshAddress) -> Result<std::process::Output, EngineError> {
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    match timeout(COMMAND_LIMIT, command.output()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(not_run(&error)),
        Err(_) => Err(EngineError::new(
            EngineErrorKind::TimedOut,
            format!("could not {doing} over ssh: no answer of `{address}` within {COMMAND_LIMIT:?}"),
        )),
    }
}

fn not_run(error: &io::Error) -> EngineError {
    EngineError::new(EngineErrorKind::Unreachable, format!("`ssh` could not be run: {error}"))
}

/// Accessible for this user only: access to the socket means root access on the remote host.
fn private_folder() -> io::Result<TempDir> {
    let short = |folder: &Path| folder.as_os_str().len() <= LONGEST_FOLDER;
    let usual = std::env::temp_dir();
    let base = if short(&usual) { usual } else { PathBuf::from("/tmp") };
    // The builder's default mode for folders is 0700.
    tempfile::Builder::new().prefix("deploy-apps-ssh-").tempdir_in(base)
}

async fn listen(mut stream: impl tokio::io::AsyncRead + Unpin, words: Words) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() < KEPT_WORDS {
            words.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }
}
