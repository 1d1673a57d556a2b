//! Registry logins, from the docker CLI's sources: `DOCKER_AUTH_CONFIG`, credential helpers, and `config.json`, where
//! `docker login` stores them.

mod base64;
mod file;
mod helper;
mod hosts;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bollard::auth::DockerCredentials;
use tokio::sync::Mutex;

use crate::ports::{EngineError, EngineErrorKind};
use file::{Auth, ConfigFile};
pub(super) use hosts::registry;
use hosts::{HUB, HUB_IN_BUILDS, is_of};

/// The user name in a helper's answer that marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";
/// How long a helper's answer is cached: twenty apps with the same registry ask once, and a token does not expire
/// meanwhile.
const FRESH: Duration = Duration::from_secs(120);

/// A login with its source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Login {
    pub credentials: DockerCredentials,
    /// The text completes "the login from …".
    pub from: String,
}

/// The docker CLI's credential configuration.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    path: PathBuf,
    file: ConfigFile,
    /// `DOCKER_AUTH_CONFIG`, which takes precedence over the file.
    variable: Option<ConfigFile>,
    /// Search path for helpers.
    programs: Option<String>,
    /// Answers of helpers, by helper and server. Locked during a call, so that each helper is asked once.
    answers: Mutex<Answers>,
}

/// By helper and server: time and answer.
type Answers = HashMap<(String, String), (Instant, Option<Login>)>;

impl Credentials {
    /// Loads the configuration; empty without a file, as most pulls need no login.
    ///
    /// # Errors
    /// When the file exists but is invalid.
    pub(super) fn load(env: &impl Fn(&str) -> Option<String>) -> Result<Self, EngineError> {
        let set = |name| env(name).filter(|value| !value.is_empty());
        let folder =
            set("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(set("HOME")?).join(".docker")));
        let path = folder.map(|folder| folder.join("config.json")).unwrap_or_default();
        let file = if path.as_os_str().is_empty() { ConfigFile::default() } else { ConfigFile::read(&path)? };
        let variable = set("DOCKER_AUTH_CONFIG").map(|text| ConfigFile::of_variable(&text)).transpose()?;
        Ok(Self { path, file, variable, programs: env("PATH"), ..Self::default() })
    }

    pub(super) fn current_context(&self) -> Option<String> {
        self.file.current_context.clone()
    }

    /// The login for the registry of an image.
    ///
    /// # Errors
    /// When a login is configured but cannot be obtained.
    pub(super) async fn for_image(&self, reference: &str) -> Result<Option<Login>, EngineError> {
        self.for_registry(&registry(reference)).await
    }

    /// The logins for a build that names images in these texts, by the names that both builders use for the lookup, and
    /// why others are missing.
    pub(super) async fn for_build(&self, texts: &[&str]) -> (HashMap<String, DockerCredentials>, Vec<EngineError>) {
        let (mut all, mut troubles) = (HashMap::new(), Vec::new());
        for registry in hosts::named(texts) {
            match self.for_registry(&registry).await {
                Ok(None) => {}
                Ok(Some(login)) if registry == HUB => {
                    all.insert(HUB_IN_BUILDS.to_owned(), login.credentials.clone());
                    all.insert(registry, login.credentials);
                }
                Ok(Some(login)) => drop(all.insert(registry, login.credentials)),
                Err(error) => troubles.push(error),
            }
        }
        (all, troubles)
    }

    /// Like the docker CLI: if a registry has a helper, other logins in the file are ignored.
    async fn for_registry(&self, registry: &str) -> Result<Option<Login>, EngineError> {
        if let Some(variable) = &self.variable
            && let Some(login) = stored(variable, registry, "DOCKER_AUTH_CONFIG")?
        {
            return Ok(Some(login));
        }
        match self.helper(registry) {
            Some((key, helper)) => self.ask(key, helper, registry).await,
            None => stored(&self.file, registry, &format!("`{}`", self.path.display())),
        }
    }

    /// The config key that names the registry's helper, and the helper.
    fn helper(&self, registry: &str) -> Option<(&'static str, &str)> {
        let of_it = self.file.cred_helpers.iter().flatten().find(|(key, _)| is_of(key, registry));
        let (key, helper) = match of_it {
            Some((_, helper)) => ("credHelpers", helper.as_deref()?),
            None => ("credsStore", self.file.creds_store.as_deref()?),
        };
        (!helper.is_empty()).then_some((key, helper))
    }

    async fn ask(&self, key: &str, helper: &str, registry: &str) -> Result<Option<Login>, EngineError> {
        let mut answers = self.answers.lock().await;
        let place = (helper.to_owned(), registry.to_owned());
        if let Some((asked, login)) = answers.get(&place).filter(|(asked, _)| asked.elapsed() < FRESH) {
            let _ = asked;
            return Ok(login.clone());
        }
        let program = helper::program(helper);
        let answer =
            helper::get(helper, registry, self.programs.as_deref(), helper::LIMIT).await.map_err(|trouble| {
                let file = self.path.display();
                let message = format!(
                    "credential helper `{program}`, which `{key}` in `{file}` names for `{registry}`, {trouble}"
                );
                let hint = match trouble {
                    helper::Trouble::Missing | helper::Trouble::BadName => {
                        format!("install it, or take it out of `{key}` and `docker login {registry}`")
                    }
                    _ => format!("`echo {registry} | {program} get` must answer without a question"),
                };
                EngineError::new(EngineErrorKind::Other, message).hint(hint)
            })?;
        let known = answer.filter(|answer| !answer.secret.is_empty());
        let login = known.map(|answer| {
            let of_user =
                DockerCredentials { serveraddress: Some(registry.to_owned()), ..DockerCredentials::default() };
            let credentials = if answer.username == TOKEN_USER {
                DockerCredentials { identitytoken: Some(answer.secret), ..of_user }
            } else {
                DockerCredentials { username: Some(answer.username), password: Some(answer.secret), ..of_user }
            };
            Login { credentials, from: format!("credential helper `{program}`") }
        });
        answers.insert(place, (Instant::now(), login.clone()));
        Ok(login)
    }
}

/// The file's login for a registry; an exact key takes precedence over an equivalent one.
fn stored(file: &ConfigFile, registry: &str, from: &str) -> Result<Option<Login>, EngineError> {
    let Some(auths) = &file.auths else { return Ok(None) };
    let found = auths.get_key_value(registry).or_else(|| auths.iter().find(|(key, _)| is_of(key, registry)));
    let Some((key, Some(auth))) = found else { return Ok(None) };
    let credentials = credentials(registry, auth).ok_or_else(|| {
        let message = format!("the login for `{key}` in {from} is not valid: `auth` is no `user:password` in base64");
        EngineError::new(EngineErrorKind::Other, message).hint(format!("`docker login {key}` writes it again"))
    })?;
    Ok(credentials.map(|credentials| Login { credentials, from: from.to_owned() }))
}

/// Outer `None`: the entry is invalid. Inner `None`: it is empty, as when a helper stores the login.
fn credentials(registry: &str, auth: &Auth) -> Option<Option<DockerCredentials>> {
    let known = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (username, password) = match known(&auth.auth) {
        Some(encoded) => {
            let text = String::from_utf8(base64::decode(&encoded)?).ok()?;
            let (user, password) = text.split_once(':')?;
            (Some(user.to_owned()), Some(password.trim_end_matches('\0').to_owned()))
        }
        None => (known(&auth.username), known(&auth.password)),
    };
    let (identitytoken, registrytoken) = (known(&auth.identitytoken), known(&auth.registrytoken));
    let password = password.filter(|password| !password.is_empty());
    if identitytoken.is_none() && registrytoken.is_none() && (username.is_none() || password.is_none()) {
        return Some(None);
    }
    let serveraddress = Some(registry.to_owned());
    Some(Some(DockerCredentials {
        username: username.filter(|user| !user.is_empty()),
        password,
        identitytoken,
        registrytoken,
        serveraddress,
        ..DockerCredentials::default()
    }))
}

#[cfg(test)]
mod tests;
