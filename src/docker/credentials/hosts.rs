//! The registry of an image, and the registries that a build may use.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// Docker Hub's key in the file, which is neither its host name nor that of its API.
pub(super) const HUB: &str = "https://index.docker.io/v1/";
/// Its name in BuildKit. Bollard 0.21.1 translates it, but in the wrong direction.
pub(super) const HUB_IN_BUILDS: &str = "registry-1.docker.io";
/// Other names for Docker Hub.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", HUB_IN_BUILDS];

/// A first component with a dot, a port or the name `localhost` is a registry; otherwise it is Docker Hub.
pub(in super::super) fn registry(reference: &str) -> Cow<'_, str> {
    match reference.split_once('/') {
        Some((host, _)) if HUB_NAMES.contains(&host) => HUB.into(),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host.into(),
        _ => HUB.into(),
    }
}

/// Whether a key of the file is for this registry: `HOST`, `http://HOST`, `https://HOST/v1/`, or another name of Docker
/// Hub.
pub(super) fn is_of(key: &str, registry: &str) -> bool {
    let host = host(key);
    key == registry || host == registry || registry == HUB && HUB_NAMES.contains(&host)
}

/// The host of a key, without scheme and path.
fn host(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next().unwrap_or(rest)
}

/// The registries in these texts: Dockerfiles, values of arguments, references. Docker Hub is always included, as it is
/// the default. A superfluous one only costs a lookup in the file or a call of a helper.
pub(super) fn named(texts: &[&str]) -> BTreeSet<String> {
    let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| may_name_an_image(line));
    let words = lines.flat_map(|line| line.split(|letter: char| letter.is_whitespace() || "=\"',;{}".contains(letter)));
    let references = words.filter(|word| word.contains('/') && !word.contains("://"));
    let hosts = references.map(|word| registry(word.trim_start_matches('-'))).filter(|host| is_host(host));
    // `FROM ${REGISTRY}/app` with `ARG REGISTRY=registry.example`.
    let arguments = texts.iter().flat_map(|text| text.lines()).filter_map(argument).filter(|value| is_host(value));
    let hub = std::iter::once(HUB.to_owned());
    hosts.map(Cow::into_owned).chain(arguments.map(str::to_owned)).chain(hub).collect()
}

/// `FROM`, `COPY --from=`, `RUN --mount=from=`, `ARG`, `# syntax=`, and texts other than Dockerfiles.
fn may_name_an_image(line: &str) -> bool {
    let line = line.trim();
    let first = line.split_whitespace().next().unwrap_or_default();
    let is_it = |word: &str| first.eq_ignore_ascii_case(word);
    let alone = first.len() == line.len();
    is_it("FROM") || is_it("ARG") || alone || line.contains("from=") || line.starts_with('#') && line.contains("syntax")
}

/// The default of an `ARG`, or a text of one word: the value of a build argument.
fn argument(line: &str) -> Option<&str> {
    let line = line.trim();
    let value = match line.split_once(char::is_whitespace) {
        Some((word, rest)) if word.eq_ignore_ascii_case("ARG") => rest.split_once('=')?.1,
        Some(_) => return None,
        None => line,
    };
    Some(value.trim_matches(['"', '\'', ' ']).trim_end_matches('/'))
}

/// Whether the text can be a host: valid characters, with a dot or a port.
fn is_host(text: &str) -> bool {
    let (name, port) = text.rsplit_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let plain = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
    let first = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
    plain && first && (has_port || port.is_none() && (name.contains('.') || name == "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_parsed_from_the_image_name() {
        for (reference, expected) in [
            ("redis:8", HUB),
            ("team/app", HUB),
            ("docker.io/library/redis", HUB),
            ("index.docker.io/library/redis", HUB),
            ("registry.example/team/app:1", "registry.example"),
            ("localhost:5000/app", "localhost:5000"),
            ("localhost/app", "localhost"),
        ] {
            assert_eq!(registry(reference), expected, "{reference}");
        }
    }

    #[test]
    fn keys_match_with_and_without_scheme_and_path() {
        for key in
            ["r.example:5000", "http://r.example:5000", "https://r.example:5000/v1/", "https://r.example:5000/v2/"]
        {
            assert!(is_of(key, "r.example:5000"), "{key}");
            assert!(!is_of(key, "r.example") && !is_of(key, HUB), "{key}");
        }
        for key in [HUB, "docker.io", "https://index.docker.io", "registry-1.docker.io"] {
            assert!(is_of(key, HUB) && !is_of(key, "r.example"), "{key}");
        }
    }

    #[test]
    fn a_build_uses_the_registries_in_its_dockerfile() {
        let dockerfile = "# syntax=front.example/dockerfile:1\nARG BASE=\"base.example:5000\"\nARG MIRROR=m.example/x\n\
                          FROM --platform=linux/amd64 a.example/app:1 AS one\nfrom ${BASE}/app\n\
                          COPY --from=c.example:1/tool /bin/x /bin/\nRUN --mount=type=bind,from=d.example/y,target=/y true\n\
                          RUN curl https://not.example/file ./no.txt/x\n";
        let found = named(&[dockerfile, "arg.example", "cache.example/app:1", "1.2.3"]);
        let expected = [
            HUB,
            "1.2.3",
            "a.example",
            "arg.example",
            "base.example:5000",
            "c.example:1",
            "cache.example",
            "d.example",
        ];
        let expected = expected.into_iter().chain(["front.example", "m.example"]);
        assert_eq!(found, expected.map(str::to_owned).collect());
        assert_eq!(named(&["FROM scratch"]), BTreeSet::from([HUB.to_owned()]));
    }
}
