//! Checks the environment variables that select engine, files and settings.

use std::ffi::OsString;

use super::exit::{Exit, Failure};

/// Prefixes of these variables.
const CHOOSING: [&str; 3] = ["COMPOSE_", "DEPLOY_APPS_", "DOCKER_"];

/// Refuses values that are not UTF-8. They would count as not set, and another engine or file would be used.
///
/// # Errors
/// Names the first variable whose value is not UTF-8.
pub(super) fn check(mut variables: impl Iterator<Item = (OsString, OsString)>) -> Result<(), Failure> {
    let unreadable = variables.find_map(|(name, value)| {
        let name = name.into_string().ok()?;
        (CHOOSING.iter().any(|begin| name.starts_with(begin)) && value.to_str().is_none()).then_some(name)
    });
    match unreadable {
        Some(name) => Err(Failure::new(Exit::Usage, format!("the value of variable `{name}` is not UTF-8"))
            .hint(format!("`unset {name}`, or give it another value"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn invalid_values_are_named_and_other_variables_ignored() {
        let check_one = |name: &str, value: &[u8]| {
            check(std::iter::once((name.into(), OsString::from_vec(value.to_vec()))))
                .err()
                .map(|failure| failure.message)
        };
        let said = check_one("DOCKER_HOST", b"unix:///\xff");
        assert_eq!(said.as_deref(), Some("the value of variable `DOCKER_HOST` is not UTF-8"));
        assert_eq!(check_one("DOCKER_HOST", "unix:///ü".as_bytes()), None);
        assert_eq!(check_one("LESS", b"\xff"), None);
    }
}
