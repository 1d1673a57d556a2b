//! The format of the docker command's `config.json`, which `DOCKER_AUTH_CONFIG` shares.

use std::io::{ErrorKind, Read};
use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;

use crate::ports::{EngineError, EngineErrorKind};

/// A file of logins is small; anything larger is something else.
const MOST_BYTES: u64 = 1 << 20;

/// What we read of it. `null` means the same as a key that is missing, as it does to the docker command.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ConfigFile {
    pub auths: Option<IndexMap<String, Option<Auth>>>,
    /// The helper for every registry that has none of its own.
    pub creds_store: Option<String>,
    /// Registry → the name of its helper.
    pub cred_helpers: Option<IndexMap<String, Option<String>>>,
    pub current_context: Option<String>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "lowercase")]
pub(super) struct Auth {
    /// `user:password` in base64. Empty when a credential helper keeps it.
    pub auth: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub identitytoken: Option<String>,
    pub registrytoken: Option<String>,
}

impl ConfigFile {
    /// An empty one where there is no file.
    ///
    /// # Errors
    /// When there is a file that cannot be read as one: to go on without its current context could reach another engine.
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
            // In a home that is somebody else's, as under `sudo -u`, nothing is this user's.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(Self::default()),
            Err(error) => return Err(refuse(format!("cannot be read: {error}"))),
            // A FIFO or a device would be read without an end.
            Ok(meta) if !meta.is_file() => return Err(refuse("is not a regular file".to_owned())),
            Ok(_) => {}
        }
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
        match read {
            Err(error) => Err(refuse(format!("cannot be read: {error}"))),
            Ok(length) if length as u64 > MOST_BYTES => Err(refuse("is larger than 1 MiB".to_owned())),
            // As the docker command takes a file that was made and not yet written.
            Ok(_) if text.trim().is_empty() => Ok(Self::default()),
            // Some editors begin a file with a mark of its encoding, which JSON has no place for.
            Ok(_) => serde_json::from_str(text.trim_start_matches('\u{feff}'))
                .map_err(|error| refuse(format!("is not valid: {error}"))),
        }
    }

    /// The value of `DOCKER_AUTH_CONFIG`, of which only the logins count.
    ///
    /// # Errors
    /// When it is not valid. The text itself is a secret and not repeated.
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
