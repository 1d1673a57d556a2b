//! Contexts of the docker CLI: one folder each, named after the digest of the context's name.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::address::{Address, without_login};
use super::choice::{Endpoint, wrong_address};
use super::tls::TlsPlan;
use crate::local::{self, FileError};
use crate::ports::{EngineError, EngineErrorKind};

/// Size limit of a context's file, which has a few lines.
const LARGEST_META: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

/// The endpoint of the context `name`; `chosen_by` says where the name comes from.
pub(super) fn load(folder: Option<&Path>, name: &str, chosen_by: &str) -> Result<Endpoint, EngineError> {
    let refuse = |why: String| EngineError::new(EngineErrorKind::Unreachable, why);
    let contexts = folder.map(|folder| folder.join("contexts")).unwrap_or_default();
    let digest: String = Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = contexts.join("meta").join(&digest).join("meta.json");
    let text = match local::text(&file, LARGEST_META) {
        Ok(text) => text,
        Err(FileError::Missing) => {
            let known = known(&contexts.join("meta")).join(", ");
            return Err(refuse(format!("{chosen_by} names the docker context `{name}`, which does not exist"))
                .hint(format!("known contexts: {known}; `docker context create {name} --docker host=…` makes it")));
        }
        Err(error) => return Err(unreadable(&file, &error.to_string())),
    };
    let meta: Meta = serde_json::from_str(&text).map_err(|error| unreadable(&file, &error.to_string()))?;
    let Some(docker) = meta.endpoints.docker.filter(|docker| !docker.host.is_empty()) else {
        return Err(refuse(format!("the docker context `{name}` has no docker endpoint"))
            .hint(format!("`docker context update {name} --docker host=…` gives it one")));
    };
    let files = TlsPlan::of_context(&contexts.join("tls").join(&digest).join("docker"), !docker.skip_tls_verify);
    let encrypted = docker.skip_tls_verify || files.has_files();
    let address = Address::parse(&docker.host, encrypted).map_err(|why| {
        wrong_address(&format!("the docker context `{name}` has the address `{}`", without_login(&docker.host)), &why)
    })?;
    let tls = matches!(&address, Address::Tcp(tcp) if tcp.tls).then_some(files);
    Ok(Endpoint { address, tls })
}

fn unreadable(file: &Path, why: &str) -> EngineError {
    let message = format!("`{}` is not to be read: {why}", file.display());
    EngineError::new(EngineErrorKind::Unreachable, message)
        .hint("`docker context ls` shows the contexts that are valid")
}

/// The names of all contexts, starting with `default`.
fn known(meta: &Path) -> Vec<String> {
    let files = std::fs::read_dir(meta).into_iter().flatten().flatten().map(|entry| entry.path().join("meta.json"));
    let name = |file: PathBuf| serde_json::from_str::<Meta>(&local::text(&file, LARGEST_META).ok()?).ok();
    let mut names: Vec<String> = files.filter_map(name).map(|meta| meta.name).collect();
    names.sort();
    std::iter::once("default".to_owned()).chain(names).map(|name| format!("`{name}`")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes a context as `docker context create` does.
    pub(in super::super) fn write(config: &Path, name: &str, host: &str) -> PathBuf {
        let digest: String = Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = config.join("contexts/meta").join(&digest);
        std::fs::create_dir_all(&folder).unwrap();
        let meta = format!(
            r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        );
        std::fs::write(folder.join("meta.json"), meta).unwrap();
        config.join("contexts/tls").join(digest).join("docker")
    }

    #[test]
    fn the_tls_files_of_a_context_make_its_address_an_encrypted_one() {
        let config = tempfile::tempdir().unwrap();
        let tls = write(config.path(), "far", "tcp://far");
        let plain = load(Some(config.path()), "far", "--context").unwrap();
        assert_eq!((plain.address.to_string().as_str(), &plain.tls), ("tcp://far:2375", &None));
        std::fs::create_dir_all(&tls).unwrap();
        std::fs::write(tls.join("ca.pem"), "").unwrap();
        let encrypted = load(Some(config.path()), "far", "--context").unwrap();
        assert_eq!(encrypted.address.to_string(), "tcp://far:2376");
        assert!(encrypted.tls.is_some());
    }

    #[test]
    fn an_unknown_context_is_reported_with_the_known_ones() {
        let config = tempfile::tempdir().unwrap();
        for name in ["stage", "prod"] {
            write(config.path(), name, "ssh://x");
        }
        let error = load(Some(config.path()), "pord", "DOCKER_CONTEXT").unwrap_err();
        assert_eq!(error.message, "DOCKER_CONTEXT names the docker context `pord`, which does not exist");
        assert!(error.hint.unwrap().starts_with("known contexts: `default`, `prod`, `stage`; "));
    }

    #[test]
    fn a_context_that_is_broken_names_its_file() {
        let config = tempfile::tempdir().unwrap();
        let tls = write(config.path(), "far", "tcp://far");
        let meta =
            config.path().join("contexts/meta").join(tls.parent().unwrap().file_name().unwrap()).join("meta.json");
        std::fs::write(&meta, "{").unwrap();
        let error = load(Some(config.path()), "far", "--context").unwrap_err();
        assert!(error.message.starts_with(&format!("`{}` is not to be read: ", meta.display())), "{error}");
        std::fs::write(&meta, r#"{"Name":"far"}"#).unwrap();
        let error = load(Some(config.path()), "far", "--context").unwrap_err();
        assert_eq!(error.message, "the docker context `far` has no docker endpoint");
    }
}
