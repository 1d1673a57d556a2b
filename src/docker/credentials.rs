//! What `docker login` has left in `~/.docker/config.json`.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::auth::DockerCredentials;
use serde::Deserialize;

/// Docker Hub's key in the file, which is neither its host's name nor its API's.
const HUB: &str = "https://index.docker.io/v1/";
/// What BuildKit calls it. Bollard 0.21.1 translates it, but in the wrong direction.
const HUB_IN_BUILDS: &str = "registry-1.docker.io";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Credentials {
    auths: HashMap<String, Auth>,
    pub(super) current_context: Option<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "lowercase")]
struct Auth {
    /// `user:password` in base64. Empty when a credential helper keeps it.
    auth: Option<String>,
    identitytoken: Option<String>,
}

impl Credentials {
    /// Without a file, or with one that cannot be read, there are none: most pulls need none.
    pub(super) fn load(env: &impl Fn(&str) -> Option<String>) -> Self {
        let folder =
            env("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(env("HOME")?).join(".docker")));
        folder
            .and_then(|folder| std::fs::read_to_string(folder.join("config.json")).ok())
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// For the registry of an image.
    pub(super) fn for_image(&self, reference: &str) -> Option<DockerCredentials> {
        let registry = registry(reference);
        let (host, auth) = self.auths.get_key_value(registry).or_else(|| {
            self.auths
                .get_key_value(&format!("https://{registry}"))
                .or_else(|| self.auths.get_key_value(&format!("https://{registry}/")))
        })?;
        credentials(host, auth)
    }

    /// For a build, whose Dockerfile may name images of any registry.
    pub(super) fn all(&self) -> HashMap<String, DockerCredentials> {
        let own = self.auths.iter().filter_map(|(host, auth)| Some((host.clone(), credentials(host, auth)?)));
        let mut all: HashMap<_, _> = own.collect();
        if let Some(hub) = all.get(HUB).cloned() {
            all.insert(HUB_IN_BUILDS.to_owned(), hub);
        }
        all
    }
}

fn credentials(host: &str, auth: &Auth) -> Option<DockerCredentials> {
    let text = String::from_utf8(base64(auth.auth.as_deref()?)?).ok()?;
    let (user, password) = text.split_once(':')?;
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(DockerCredentials {
        username: known(user),
        password: known(password.trim_end_matches('\0')),
        identitytoken: auth.identitytoken.clone().filter(|token| !token.is_empty()),
        serveraddress: Some(host.to_owned()),
        ..DockerCredentials::default()
    })
}

/// A first part with a dot, a port or the name `localhost` is a registry; anything else is Docker Hub's.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => {
            if host == "docker.io" {
                HUB
            } else {
                host
            }
        }
        _ => HUB,
    }
}

/// Standard alphabet; padding is optional. `None` for anything else.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_an_image_is_told_from_its_name() {
        assert_eq!(registry("redis:8"), HUB);
        assert_eq!(registry("team/app"), HUB);
        assert_eq!(registry("docker.io/library/redis"), HUB);
        assert_eq!(registry("registry.example/team/app:1"), "registry.example");
        assert_eq!(registry("localhost:5000/app"), "localhost:5000");
    }

    #[test]
    fn a_login_is_found_for_its_registry_only() {
        let text =
            r#"{"auths":{"registry.example":{"auth":"YW5uOnMzY3JldDp4"},"helper.example":{}},"currentContext":"far"}"#;
        let file: Credentials = serde_json::from_str(text).unwrap();
        let login = file.for_image("registry.example/team/app").unwrap();
        assert_eq!((login.username.as_deref(), login.password.as_deref()), (Some("ann"), Some("s3cret:x")));
        assert!(file.for_image("redis").is_none() && file.for_image("helper.example/app").is_none());
        assert_eq!(file.current_context.as_deref(), Some("far"));
    }

    #[test]
    fn base64_takes_what_it_should_and_no_more() {
        assert_eq!(base64("TWE=").as_deref(), Some(b"Ma".as_slice()));
        assert_eq!(base64("TWFu").as_deref(), Some(b"Man".as_slice()));
        assert_eq!(base64("T*"), None);
    }
}
