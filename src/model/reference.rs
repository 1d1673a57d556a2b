//! Image names in the form that the engine lists.

/// The short form of an image name, with its tag, so that different spellings compare as equal:
/// `docker.io/library/redis` is `redis:latest`.
#[must_use]
pub fn familiar_reference(reference: &str) -> String {
    let hub = ["docker.io/", "index.docker.io/"].into_iter().find_map(|host| reference.strip_prefix(host));
    let name = hub.map_or(reference, |name| name.strip_prefix("library/").unwrap_or(name));
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_name_are_equal() {
        for (written, familiar) in [
            ("redis", "redis:latest"),
            ("docker.io/library/redis:8", "redis:8"),
            ("docker.io/team/app", "team/app:latest"),
            ("registry.example:5000/app", "registry.example:5000/app:latest"),
            ("registry.example:5000/app:1", "registry.example:5000/app:1"),
            ("app@sha256:00", "app@sha256:00"),
        ] {
            assert_eq!(familiar_reference(written), familiar);
        }
    }
}
