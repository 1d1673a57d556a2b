//! Logins at registries, found where the docker command finds them: `DOCKER_AUTH_CONFIG`, the helper of the registry, or
//! what `docker login` has left in `config.json`.

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

/// The user name of a helper's answer whose secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// How long an answer of a helper is used: twenty apps of a registry ask once, and a token does not grow old.
const FRESH: Duration = Duration::from_secs(120);

/// A login, and where it was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Login {
    pub credentials: DockerCredentials,
    /// Completes "the login from …".
    pub from: String,
}

/// What the docker command is configured with.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    path: PathBuf,
    file: ConfigFile,
    /// `DOCKER_AUTH_CONFIG`, which wins over the file.
    variable: Option<ConfigFile>,
    /// Where helpers are found.
    programs: Option<String>,
    /// What helpers have answered, by helper and server. Held while one is asked, so that each is asked once.
    answers: Mutex<Answers>,
}

/// By helper and server: when it answered, and what.
type Answers = HashMap<(String, String), (Instant, Option<Login>)>;

impl Credentials {
    /// Without a file there are none: most pulls need none.
    ///
    /// # Errors
    /// When there is a file that cannot be read.
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

    /// For the registry of an image.
    ///
    /// # Errors
    /// When one is configured and cannot be had.
    pub(super) async fn for_image(&self, reference: &str) -> Result<Option<Login>, EngineError> {
        self.for_registry(&registry(reference)).await
    }

    /// For a build that names images in these texts: the logins by the names that both builders look them up with, and
    /// why others could not be had.
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

    /// As the docker command does: a helper alone answers for its registries, whatever else the file has.
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

    /// The key that names the helper of a registry, and the helper.
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

/// What a file has for a registry; an exact key wins over one that only means the same.
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

/// `None` when the entry is not valid; none at all when it is empty, as beside a helper.
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
