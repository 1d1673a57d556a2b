//! Engines elsewhere that cannot be reached: each wrong thing by its name, with how to fix it. Nothing is touched.

use crate::harness::{App, FarHost, Host, Scenario};
use crate::input_file::is;

async fn host(test: &str) -> (&'static FarHost, Host) {
    let far = FarHost::shared().await;
    (far, Scenario::new(test).app(App::new("web")).far(far).start().await)
}

/// Runs a deploy that must not get anywhere, and compares all that it says.
async fn fails(far: &FarHost, host: &Host, vars: &[(String, String)], wanted: &str) {
    let mut output = host.cli(&["web"]).envs(vars).run().await;
    let known = [(far.path("").display().to_string(), "FILES/"), (far.address.to_string(), "FAR")];
    for (text, word) in known {
        output.stderr = output.stderr.replace(&text, word);
    }
    is(host, output, 7, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_tls_is_told() {
    let (far, host) = host("far-tls-errors").await;
    let place = format!("{}:2376", far.address);
    far.foreign_authority("wrong-ca");
    fails(
        far,
        &host,
        &far.tls_through(&place, "wrong-ca"),
        "error: the engine at `tcp://FAR:2376` is not trusted: its certificate is not signed by the authority in `FILES/wrong-ca/ca.pem`\n\n\
         hint: take ca.pem from the host's own administrator; a wrong one may also mean a wrong host",
    )
    .await;
    std::fs::create_dir(far.path("no-cert")).expect("a folder");
    std::fs::copy(far.path("client/ca.pem"), far.path("no-cert/ca.pem")).expect("a copy");
    fails(
        far,
        &host,
        &far.tls_through(&place, "no-cert"),
        "error: the engine at `tcp://FAR:2376` refused this client: it wants a client certificate\n\n\
         hint: put the client's cert.pem and key.pem into `FILES/no-cert`",
    )
    .await;
    far.certify("expired", &[], 2020);
    fails(
        far,
        &host,
        &far.tls_through(&place, "expired"),
        "error: the client certificate `FILES/expired/cert.pem` has expired on 2020-01-01T00:00:00Z\n\n\
         hint: ask whoever runs the engine's authority for a new cert.pem and key.pem",
    )
    .await;
    fails(
        far,
        &host,
        &far.tls_through("127.0.0.1:1", "client"),
        "error: no container engine at `tcp://127.0.0.1:1`: nothing listens there\n\n\
         hint: check the address, and whether the engine listens there",
    )
    .await;
    let wire = crate::harness::Wire::to(crate::harness::End::Address((far.address, 2376).into())).await;
    let by_name = far.tls_through(&format!("localhost:{}", wire.port), "client");
    let output = host.cli(&["web"]).envs(&by_name).run().await.exited(7);
    output.says(&format!(
        "is not trusted: its certificate is for other names: {}, 127.0.0.1\n\nhint: use one of its names",
        far.address
    ));
    // Without verification any name does, and the engine still wants to know who we are.
    let unverified =
        [by_name, vec![("DOCKER_TLS".to_owned(), "1".to_owned()), ("DOCKER_TLS_VERIFY".to_owned(), String::new())]];
    host.cli(&["web"]).envs(&unverified.concat()).run().await.succeeded();
    let plain = [("DOCKER_HOST".to_owned(), format!("tcp://{place}")), ("DOCKER_TLS_VERIFY".to_owned(), String::new())];
    fails(
        far,
        &host,
        &plain,
        "error: the engine at `tcp://FAR:2376` speaks TLS, and was spoken to without\n\n\
         hint: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_ssh_is_told() {
    let (far, host) = host("far-ssh-errors").await;
    fails(
        far,
        &host,
        &far.ssh_with_wrong_key(),
        "error: no ssh login at `ssh://deploy@FAR`: none of your keys is accepted\n\n\
         hint: `ssh deploy@FAR` must work without a question: `ssh-add` loads a key that has a passphrase, `ssh-copy-id` brings one there",
    )
    .await;
    fails(
        far,
        &host,
        &far.ssh_to_unknown_host(),
        "error: no ssh login at `ssh://deploy@FAR`: its host key is not known\n\n\
         hint: `ssh deploy@FAR` once, compare the fingerprint that it shows, and answer `yes`",
    )
    .await;
    fails(
        far,
        &host,
        &far.ssh("guest"),
        "error: user `guest` may not use the engine's socket `/var/run/docker.sock` on `FAR`\n\n\
         hint: on that host: `sudo usermod -aG docker guest`",
    )
    .await;
    fails(
        far,
        &host,
        &far.ssh("bare"),
        "error: the ssh server of `FAR` forwards no sockets, and that host has no `docker` command\n\n\
         hint: set `AllowStreamLocalForwarding yes` in its sshd_config, or install the docker command there",
    )
    .await;
    fails(
        far,
        &host,
        &far.ssh("forced"),
        "error: the login at `ssh://forced@FAR` prints text of its own where the engine's answer belongs\n\n\
         hint: `ssh forced@FAR true` must print nothing: silence the shell's start files, such as ~/.bashrc, where nobody is at a terminal",
    )
    .await;
    fails(
        far,
        &host,
        &far.ssh_through(&format!("deploy@{}/no/such.sock", far.address)),
        "error: no container engine at `ssh://deploy@FAR/no/such.sock`: there is no socket `/no/such.sock` on that host\n\n\
         hint: start the engine there, or name its socket: `ssh://user@host/path/of.sock`",
    )
    .await;
    fails(
        far,
        &host,
        &far.ssh_through("deploy@127.0.0.1:1"),
        "error: no ssh connection to `ssh://deploy@127.0.0.1:1`: nothing listens there\n\n\
         hint: check the port, and whether the ssh server runs on that host",
    )
    .await;
    // A path with the tools that our own script needs, and no `ssh`.
    let bare = host.folder().join("bare-path");
    std::fs::create_dir(&bare).expect("a folder");
    for tool in ["sh", "rm"] {
        std::os::unix::fs::symlink(format!("/bin/{tool}"), bare.join(tool)).expect("a link");
    }
    let path = [("PATH".to_owned(), bare.to_string_lossy().into_owned())];
    fails(
        far,
        &host,
        &[&far.ssh("deploy")[..1], &path].concat(),
        "error: the `ssh` command is not installed here, and `ssh://deploy@FAR` is reached by it\n\n\
         hint: `sudo apt-get install openssh-client`, or the like of your system",
    )
    .await;
}
