//! Selects the engine: from the options, the environment, or the docker CLI's configuration.

use std::path::{Path, PathBuf};

use super::address::{Address, without_login};
use super::contexts;
use super::tls::TlsPlan;
use crate::docker::credentials::Credentials;
use crate::ports::{EngineError, EngineErrorKind};

/// The engine options of the command line; at most one of the two is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineChoice {
    /// An address as in `DOCKER_HOST`.
    pub host: Option<String>,
    /// The name of a docker context.
    pub context: Option<String>,
}

/// An engine's address with its TLS settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub address: Address,
    /// TLS for a `tcp://` address; `None`: unencrypted.
    pub tls: Option<TlsPlan>,
}

const FORMS: &str = "write `unix:///path/of.sock`, `tcp://host:port`, `https://host:port` or `ssh://user@host:port`";

/// Selects the engine that the docker CLI would use.
pub(super) fn choose(
    choice: &EngineChoice,
    env: &impl Fn(&str) -> Option<String>,
    credentials: &Credentials,
) -> Result<Endpoint, EngineError> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    let folder = config_folder(env);
    if let Some(text) = &choice.host {
        return by_address("--host", text, env, folder.as_deref());
    }
    // A context on the command line takes precedence over DOCKER_HOST; a context from elsewhere does not.
    let named = choice.context.clone().or_else(|| {
        let elsewhere = || set("DOCKER_CONTEXT").or_else(|| credentials.current_context());
        if set("DOCKER_HOST").is_some() { None } else { elsewhere() }
    });
    match named {
        Some(context) if context != "default" && !context.is_empty() => {
            let chosen_by = match (&choice.context, set("DOCKER_CONTEXT")) {
                (Some(_), _) => "--context",
                (None, Some(_)) => "DOCKER_CONTEXT",
                (None, None) => "`docker context use`",
            };
            contexts::load(folder.as_deref(), &context, chosen_by)
        }
        _ => match set("DOCKER_HOST") {
            Some(text) => by_address("DOCKER_HOST", &text, env, folder.as_deref()),
            None => Ok(Endpoint { address: Address::local(), tls: None }),
        },
    }
}

fn by_address(
    source: &str,
    text: &str,
    env: &impl Fn(&str) -> Option<String>,
    folder: Option<&Path>,
) -> Result<Endpoint, EngineError> {
    let is_set = |name| env(name).is_some_and(|value| !value.is_empty());
    let verify = is_set("DOCKER_TLS_VERIFY");
    let address = Address::parse(text, verify || is_set("DOCKER_TLS"));
    let address = address.map_err(|why| wrong_address(&format!("{source} is `{}`", without_login(text)), &why))?;
    let tls = match &address {
        Address::Tcp(tcp) if tcp.tls => {
            let certificates = env("DOCKER_CERT_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
            let certificates = certificates.or_else(|| folder.map(Path::to_owned));
            // `https://` without any of the variables verifies the server like any https client.
            let verify = verify || (tcp.https && !is_set("DOCKER_TLS"));
            Some(TlsPlan::of_folder(certificates.as_deref(), verify, verify && !tcp.https)?)
        }
        _ => None,
    };
    Ok(Endpoint { address, tls })
}

pub(super) fn wrong_address(what: &str, why: &str) -> EngineError {
    EngineError::new(EngineErrorKind::Unreachable, format!("{what}: {why}")).hint(FORMS)
}

/// The docker CLI's configuration folder.
pub(super) fn config_folder(env: &impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    set("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(choice: &EngineChoice, vars: &[(&str, &str)]) -> Result<String, EngineError> {
        let env = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        choose(choice, &env, &Credentials::load(&env).unwrap()).map(|endpoint| endpoint.address.to_string())
    }

    fn host(text: &str) -> EngineChoice {
        EngineChoice { host: Some(text.to_owned()), context: None }
    }

    fn context(name: &str) -> EngineChoice {
        EngineChoice { host: None, context: Some(name.to_owned()) }
    }

    #[test]
    fn options_win_over_the_environment_and_that_over_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"currentContext":"used"}"#).unwrap();
        for name in ["used", "set", "asked"] {
            contexts::tests::write(folder.path(), name, &format!("ssh://{name}"));
        }
        let none = EngineChoice::default();
        let set = [("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "set")];
        let both = [&set[..], &[("DOCKER_HOST", "unix:///a")]].concat();
        assert_eq!(chosen(&none, &set[..1]).unwrap(), "ssh://used");
        assert_eq!(chosen(&none, &set).unwrap(), "ssh://set");
        assert_eq!(chosen(&none, &both).unwrap(), "unix:///a");
        assert_eq!(chosen(&context("asked"), &both).unwrap(), "ssh://asked");
        assert_eq!(chosen(&context("default"), &both).unwrap(), "unix:///a");
        assert_eq!(chosen(&context("default"), &set).unwrap(), "unix:///var/run/docker.sock");
        assert_eq!(chosen(&host("tcp://b:1"), &both).unwrap(), "tcp://b:1");
        assert_eq!(chosen(&none, &[]).unwrap(), "unix:///var/run/docker.sock");
    }

    #[test]
    fn a_broken_configuration_never_leads_to_the_local_engine() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        contexts::tests::write(folder.path(), "prod", "ssh://prod");
        let env = |name: &str| (name == "DOCKER_CONFIG").then(|| folder.path().display().to_string());
        let address = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let credentials = Credentials::load(&env)?;
            choose(&EngineChoice::default(), &env, &credentials).map(|endpoint| endpoint.address.to_string())
        };
        for good in [
            "{\"currentContext\":\"prod\"}",
            "\u{feff}{\"currentContext\":\"prod\"}",
            "{\"auths\":{\"r\":null},\"currentContext\":\"prod\"}",
        ] {
            assert_eq!(address(good).unwrap(), "ssh://prod", "{good}");
        }
        for bad in [
            "{\"currentContext\":\"prod\",}",
            "{\"currentContext\":5}",
            "{\"auths\":[],\"currentContext\":\"prod\"}",
            "[",
        ] {
            let error = address(bad).unwrap_err();
            assert_eq!(error.kind, EngineErrorKind::Unreachable, "{bad}");
            assert!(error.message.contains(&file.display().to_string()), "{error}");
        }
    }

    #[test]
    fn an_invalid_address_is_named_with_its_source() {
        let error = chosen(&host("ftp://x"), &[]).unwrap_err();
        assert_eq!(error.message, "--host is `ftp://x`: the scheme `ftp` is not known");
        let error = chosen(&EngineChoice::default(), &[("DOCKER_HOST", "x")]).unwrap_err();
        assert_eq!(error.message, "DOCKER_HOST is `x`: not an address of an engine");
        assert_eq!(error.hint.as_deref(), Some(FORMS));
    }
}
