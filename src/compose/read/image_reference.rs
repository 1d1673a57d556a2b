//! Validates image references.

/// `[registry[:port]/]path[:tag][@algorithm:digest]`. Detects likely mistakes only; the engine checks the rest.
pub(super) fn is_valid(text: &str) -> bool {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let (folders, last) = name.rsplit_once('/').map_or((None, name), |(folders, last)| (Some(folders), last));
    let (repository, tag) = last.split_once(':').map_or((last, None), |(name, tag)| (name, Some(tag)));
    let part = |part: &str, upper: bool| {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(valid)
            && (upper || !part.contains(|c: char| c.is_ascii_uppercase()))
    };
    let mut folders = folders.into_iter().flat_map(|folders| folders.split('/'));
    // Only the first part may be a registry: a host, which may have a port and upper-case letters.
    folders.next().is_none_or(|host| host.split(':').all(|piece| part(piece, true)))
        && folders.all(|folder| part(folder, false))
        && part(repository, false)
        && tag.is_none_or(|tag| part(tag, true))
        && digest
            .is_none_or(|digest| digest.split_once(':').is_some_and(|(kind, hex)| part(kind, true) && part(hex, true)))
}
