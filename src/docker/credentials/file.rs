//! The format of the docker CLI's `config.json`, also used by `DOCKER_AUTH_CONFIG`.

use std::io::{ErrorKind, Read};
use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

use crate::ports::{EngineError, EngineErrorKind};

/// Size limit: the file is normally small.
const MOST_BYTES: u64 = 1 << 20;

/// The keys that we read. Like in the docker CLI, `null` means the same as a missing key.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ConfigFile {
    pub auths: Option<IndexMap<String, Option<Auth>>>,
    /// The default credential helper.
    pub creds_store: Option<String>,
    /// The helper for each registry.
    pub cred_helpers: Option<IndexMap<String, Option<String>>>,
    pub current_context: Option<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "lowercase")]
pub(super) struct Auth {
    /// `user:password` in base64; empty when a credential helper stores it.
    pub auth: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub identitytoken: Option<String>,
    pub registrytoken: Option<String>,
}

impl ConfigFile {
    /// Empty if there is no file.
    ///
    /// # Errors
    /// When the file exists but is invalid: without its current context another engine could be used.
    pub(super) fn read(path: &Path) -> Result<Self, EngineError> {
        let shown = path.display();
        let refuse = |why: String| {
            EngineError::new(EngineErrorKind::Unreachable, format!("docker's configuration `{shown}` {why}")).hint(
                format!(
                    "correct `{shown}`, or set DOCKER_CONFIG to another folder: it names the engine and the logins"
                ),
            )
        };
        match std::fs::metadata(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::default());
            }
            // In the home of another user, as with `sudo -u`, there is no configuration for this user.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(Self::default()),
            Err(error) => return Err(refuse(format!("cannot be read: {error}"))),
            // A FIFO or a device could be read forever.
            Ok(meta) if !meta.is_file() => return Err(refuse("is not a regular file".to_owned())),
            Ok(_) => {}
        }
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
        match read {
            Err(error) => Err(refuse(format!("cannot be read: {error}"))),
            Ok(length) if length as u64 > MOST_BYTES => Err(refuse("is larger than 1 MiB".to_owned())),
            // Like the docker CLI, accept a file that was created but not yet written.
            Ok(_) if text.trim().is_empty() => Ok(Self::default()),
            // Some editors write a byte order mark, which is invalid in JSON.
            Ok(_) => serde_json::from_str(text.trim_start_matches('\u{feff}'))
                .map_err(|error| refuse(format!("is not valid: {error}"))),
        }
    }

    /// Parses `DOCKER_AUTH_CONFIG`, of which only the logins are used.
    ///
    /// # Errors
    /// When it is invalid. The text is a secret and not part of the error.
    pub(super) fn of_variable(text: &str) -> Result<Self, EngineError> {
        serde_json::from_str::<Self>(text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            EngineError::new(
                EngineErrorKind::Unreachable,
                format!("DOCKER_AUTH_CONFIG is not a valid list of logins at {place}"),
            )
            .hint("write `{\"auths\":{\"registry.example\":{\"auth\":\"…\"}}}`, or unset it")
        })
    }
}
