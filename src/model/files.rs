//! Secrets and configs: files that are copied into each container before it starts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file in a container: everything except its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerFile {
    /// The name in the compose file, for messages.
    pub name: String,
    /// Absolute path in the container.
    pub target: String,
    pub uid: u32,
    pub gid: u32,
    /// Permission bits, such as 0o444.
    pub mode: u32,
    /// Kept in memory only: neither plans nor stored releases contain it.
    #[serde(skip)]
    pub content: Content,
}

/// The content of a secret or config. It is never shown in messages, logs or JSON.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content(Option<Arc<[u8]>>);

impl Content {
    /// `None` after deserialization: the serialised form omits the content.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }

    /// Equal digests mean equal content.
    pub(super) fn digest(&self) -> impl AsRef<[u8]> {
        Sha256::digest(self.0.as_deref().unwrap_or_default())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Some(bytes.into()))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The length is hidden too: that of a password is information.
        f.write_str(if self.0.is_some() { "Content(…)" } else { "Content(none)" })
    }
}

/// Sets the missing contents in `files` from `known`, matched by name and target.
///
/// # Errors
/// The name of the first file without content in `known`.
pub fn refill(files: &mut [ContainerFile], known: &[ContainerFile]) -> Result<(), String> {
    for file in files.iter_mut().filter(|file| file.content.bytes().is_none()) {
        let same = |other: &&ContainerFile| other.name == file.name && other.target == file.target;
        let named = |other: &&ContainerFile| other.name == file.name;
        let found = known.iter().find(same).or_else(|| known.iter().find(named));
        match found.filter(|other| other.content.bytes().is_some()) {
            Some(other) => file.content = other.content.clone(),
            None => return Err(file.name.clone()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: Content) -> ContainerFile {
        ContainerFile { name: "key".to_owned(), target: "/run/secrets/key".to_owned(), content, ..Default::default() }
    }

    #[test]
    fn contents_are_not_shown() {
        let secret = file(b"hunter2".to_vec().into());
        let json = serde_json::to_string(&secret).expect("JSON");
        assert_eq!(json, r#"{"name":"key","target":"/run/secrets/key","uid":0,"gid":0,"mode":0}"#);
        assert!(!format!("{secret:?}").contains("hunter2") && !format!("{secret:?}").contains("104"));
    }

    #[test]
    fn deserialized_files_get_their_contents_back() {
        let mut files = [file(Content::default())];
        assert_eq!(refill(&mut files, &[]), Err("key".to_owned()));
        refill(&mut files, &[file(b"a".to_vec().into())]).expect("a value");
        assert_eq!(files[0].content.bytes(), Some(&b"a"[..]));
    }
}
