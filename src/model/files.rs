//! Secrets and configs: files that each container of a service gets before it starts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One file in a container. It says everything about the file but what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerFile {
    /// The name in the compose file, for messages.
    pub name: String,
    /// Absolute, in the container.
    pub target: String,
    pub uid: u32,
    pub gid: u32,
    /// Permission bits, such as 0o444.
    pub mode: u32,
    /// Stays in memory: neither a plan nor a stored release has it.
    #[serde(skip)]
    pub content: Content,
}

/// The bytes of a secret or config, which no message, log or JSON shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content(Option<Arc<[u8]>>);

impl Content {
    /// `None` when this came from a serialised form, which leaves it out.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }

    /// Two values with the same digest are the same value.
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
        // Not even its length: that of a password says something.
        f.write_str(if self.0.is_some() { "Content(…)" } else { "Content(none)" })
    }
}

/// Puts the values of `known` into `files` that came without, by name and target.
///
/// # Errors
/// With the name of the first file that has no value there.
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
    fn a_value_is_in_no_text_made_of_it() {
        let secret = file(b"hunter2".to_vec().into());
        let json = serde_json::to_string(&secret).expect("JSON");
        assert_eq!(json, r#"{"name":"key","target":"/run/secrets/key","uid":0,"gid":0,"mode":0}"#);
        assert!(!format!("{secret:?}").contains("hunter2") && !format!("{secret:?}").contains("104"));
    }

    #[test]
    fn what_came_from_a_text_gets_the_value_that_is_known_now() {
        let mut files = [file(Content::default())];
        assert_eq!(refill(&mut files, &[]), Err("key".to_owned()));
        refill(&mut files, &[file(b"a".to_vec().into())]).expect("a value");
        assert_eq!(files[0].content.bytes(), Some(&b"a"[..]));
    }
}
