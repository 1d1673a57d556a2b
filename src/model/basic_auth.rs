//! Basic auth of an app: who may come with which password.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A name, and the bcrypt hash of its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthUser {
    pub name: String,
    pub hash: String,
}

/// The proxy lets only these in. The hashes go to the proxy and nowhere else: like the content of a secret, neither plans nor stored
/// releases have them, and no output shows them.
#[derive(Clone, Serialize, Deserialize)]
pub struct BasicAuth {
    pub realm: String,
    /// Whether the app gets the header `Authorization`.
    pub forward: bool,
    /// Of the users. What it is of cannot be guessed from it, as each hash has a salt of its own.
    pub digest: String,
    /// Empty where they are not known.
    #[serde(default, skip_serializing)]
    pub users: Vec<AuthUser>,
}

impl BasicAuth {
    #[must_use]
    pub fn new(realm: String, forward: bool, users: Vec<AuthUser>) -> Self {
        let lines: String = users.iter().map(|user| format!("{}:{}\n", user.name, user.hash)).collect();
        let digest = Sha256::digest(lines).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { realm, forward, digest, users }
    }

    /// With the users of another, where its own are not known.
    #[must_use]
    pub fn refilled(self, known: Option<&Self>) -> Option<Self> {
        match known {
            _ if !self.users.is_empty() => Some(self),
            Some(known) if !known.users.is_empty() => Some(Self::new(self.realm, self.forward, known.users.clone())),
            _ => None,
        }
    }
}

impl PartialEq for BasicAuth {
    fn eq(&self, other: &Self) -> bool {
        (&self.realm, self.forward, &self.digest) == (&other.realm, other.forward, &other.digest)
    }
}

impl Eq for BasicAuth {}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("BasicAuth");
        shown.field("realm", &self.realm).field("forward", &self.forward).field("digest", &self.digest);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(hash: &str) -> BasicAuth {
        BasicAuth::new("r".to_owned(), false, vec![AuthUser { name: "ann".to_owned(), hash: hash.to_owned() }])
    }

    #[test]
    fn the_hashes_are_shown_and_kept_nowhere() {
        let auth = auth("$2y$05$hash");
        let json = serde_json::to_string(&auth).expect("JSON");
        assert!(!json.contains("$2y$") && !format!("{auth:?}").contains("$2y$"), "{json}");
        let kept: BasicAuth = serde_json::from_str(&json).expect("JSON");
        assert_eq!(kept, auth, "it is the same by its digest");
        assert_eq!(kept.clone().refilled(None), None);
        assert_eq!(kept.refilled(Some(&auth)).map(|auth| auth.users.len()), Some(1));
        assert_ne!(auth, self::auth("$2y$05$other"));
    }
}
