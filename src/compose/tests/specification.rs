//! Checks docs/reference/compose.md against the schema of the compose specification: every key is documented as it is
//! handled.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::refuse::{self, Section};

/// Each level of the schema with its own keys, and the section that reads it.
const LEVELS: [(&str, &str, &Section); 39] = [
    ("Top level", "", &refuse::TOP),
    ("`include`", "/$defs/include/oneOf/1", &refuse::INCLUDE),
    ("A service", "/$defs/service", &refuse::SERVICE),
    ("`build`", "/$defs/workload_spec/properties/build/oneOf/1", &refuse::BUILD),
    (
        "`depends_on`",
        "/$defs/workload_spec/properties/depends_on/oneOf/1/patternProperties/^[a-zA-Z0-9._-]+$",
        &refuse::DEPENDENCY,
    ),
    ("`deploy`", "/$defs/deployment", &refuse::DEPLOY),
    ("`deploy.update_config`", "/$defs/deployment/properties/update_config", &refuse::UPDATE_CONFIG),
    ("`deploy.resources`", "/$defs/deployment/properties/resources", &refuse::RESOURCES),
    ("`deploy.resources.limits`", "/$defs/deployment/properties/resources/properties/limits", &refuse::LIMITS),
    (
        "`deploy.resources.reservations`",
        "/$defs/deployment/properties/resources/properties/reservations",
        &refuse::RESERVATIONS,
    ),
    ("`env_file`", "/$defs/env_file/oneOf/1/items/oneOf/1", &refuse::ENV_FILE),
    ("`extends`", "/$defs/service/properties/extends/oneOf/1", &refuse::EXTENDS),
    ("`healthcheck`", "/$defs/healthcheck", &refuse::HEALTHCHECK),
    ("`logging`", "/$defs/container_spec/properties/logging", &refuse::LOGGING),
    (
        "`networks` of a service",
        "/$defs/container_spec/properties/networks/oneOf/1/patternProperties/^[a-zA-Z0-9._-]+$/oneOf/0",
        &refuse::ATTACHMENT,
    ),
    ("`ports`", "/$defs/workload_spec/properties/ports/items/oneOf/2", &refuse::PORT),
    ("`ulimits`", "/$defs/ulimits/patternProperties/^[a-z]+$/oneOf/1", &refuse::ULIMIT),
    ("`volumes` of a service", "/$defs/container_spec/properties/volumes/items/oneOf/1", &refuse::MOUNT),
    ("`volumes[].bind`", "/$defs/container_spec/properties/volumes/items/oneOf/1/properties/bind", &refuse::MOUNT_BIND),
    (
        "`volumes[].volume`",
        "/$defs/container_spec/properties/volumes/items/oneOf/1/properties/volume",
        &refuse::MOUNT_VOLUME,
    ),
    ("A network", "/$defs/network", &refuse::NETWORK),
    ("A volume", "/$defs/volume", &refuse::VOLUME),
    ("`deploy.rollback_config`", "/$defs/deployment/properties/rollback_config", &refuse::UPDATE_CONFIG),
    ("`deploy.restart_policy`", "/$defs/deployment/properties/restart_policy", &refuse::RESTART_POLICY),
    ("`deploy.resources.reservations.devices`", "/$defs/devices/items", &refuse::DEVICE_REQUEST),
    ("`gpus`", "/$defs/gpus/oneOf/1/items", &refuse::DEVICE_REQUEST),
    ("`devices`", "/$defs/container_spec/properties/devices/items/oneOf/1", &refuse::DEVICE),
    ("`blkio_config`", "/$defs/container_spec/properties/blkio_config", &refuse::BLKIO),
    ("`blkio_config`: a limit of a device", "/$defs/blkio_limit", &refuse::BLKIO_DEVICE),
    ("`blkio_config`: a weight of a device", "/$defs/blkio_weight", &refuse::BLKIO_DEVICE),
    ("`pre_start`", "/$defs/pre_start_hook", &refuse::PRE_START),
    ("`post_start` and `pre_stop`", "/$defs/service_hook", &refuse::HOOK),
    ("`secrets` and `configs` of a service", "/$defs/service_config_or_secret/items/oneOf/1", &refuse::GRANT),
    (
        "`volumes[].image`",
        "/$defs/container_spec/properties/volumes/items/oneOf/1/properties/image",
        &refuse::MOUNT_IMAGE,
    ),
    (
        "`volumes[].tmpfs`",
        "/$defs/container_spec/properties/volumes/items/oneOf/1/properties/tmpfs",
        &refuse::MOUNT_TMPFS,
    ),
    ("`ipam` of a network", "/$defs/network/properties/ipam", &refuse::IPAM),
    ("`ipam.config` of a network", "/$defs/network/properties/ipam/properties/config/items", &refuse::IPAM_CONFIG),
    ("A secret", "/$defs/secret", &refuse::SECRET),
    ("A config", "/$defs/config", &refuse::CONFIG),
];

/// Levels whose keys are handled like the key that contains them.
const WITH_THEIR_PARENT: [&str; 17] = [
    "/$defs/config/properties/external",
    "/$defs/container_spec",
    "/$defs/job",
    "/$defs/job/properties/triggers",
    "/$defs/schedule",
    "/$defs/workload_spec",
    "/$defs/deployment/properties/placement",
    "/$defs/deployment/properties/placement/properties/preferences/items",
    "/$defs/development",
    "/$defs/development/properties/watch/items",
    "/$defs/generic_resources/items",
    "/$defs/generic_resources/items/properties/discrete_resource_spec",
    "/$defs/model",
    "/$defs/network/properties/external",
    "/$defs/secret/properties/external",
    "/$defs/container_spec/properties/credential_spec",
    "/$defs/service/properties/provider",
];

const BEGIN: &str = "<!-- The tables below are generated: `UPDATE_DOCS=1 cargo test --lib specification`. -->\n";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn schema() -> Value {
    let text = std::fs::read_to_string(root("tests/compose/compose-spec.json")).expect("the schema");
    serde_json::from_str(&text).expect("valid JSON")
}

/// The level's keys, including those of the schemas that it combines.
fn keys(schema: &Value, level: &Value) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = level["properties"].as_object().expect("keys").keys().cloned().collect();
    for part in level["allOf"].as_array().into_iter().flatten() {
        let at = part["$ref"].as_str().and_then(|at| at.strip_prefix('#')).expect("a reference");
        keys.extend(self::keys(schema, schema.pointer(at).expect("a definition")));
    }
    keys
}

/// Every path in the schema that has keys.
fn levels(node: &Value, at: &str, found: &mut BTreeSet<String>) {
    match node {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object) {
                found.insert(at.to_owned());
            }
            map.iter().for_each(|(key, inner)| levels(inner, &format!("{at}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| levels(inner, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

#[test]
fn every_level_of_the_schema_is_covered() {
    let mut found = BTreeSet::new();
    levels(&schema(), "", &mut found);
    // Two models of one service do not differ in a relevant way.
    found.retain(|at| !at.contains("/properties/models/"));
    let known =
        LEVELS.iter().map(|(_, at, _)| *at).chain(WITH_THEIR_PARENT).chain(["/$defs/volume/properties/external"]);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(found, known);
}

/// How a key is handled; fails if it is unknown.
fn fate(section: &Section, key: &str) -> Option<String> {
    if section.known.contains(&key) {
        return Some("honoured".to_owned());
    }
    let said = |list: &[(&str, &str)]| list.iter().find(|(known, _)| *known == key).map(|(_, why)| (*why).to_owned());
    let warned = said(section.warned).map(|why| format!("warned: {why}"));
    warned.or_else(|| said(section.refused).map(|why| format!("refused: {why}")))
}

#[test]
fn every_key_is_documented_as_it_is_handled() {
    let schema = schema();
    let (mut tables, mut forgotten) = (String::new(), Vec::new());
    for (title, at, section) in LEVELS {
        let level = schema.pointer(at).unwrap_or_else(|| panic!("{at} is not in the schema"));
        write!(tables, "\n### {title}\n\n| key | what happens |\n| --- | --- |\n").expect("text");
        for key in keys(&schema, level) {
            match fate(section, &key) {
                Some(fate) => writeln!(tables, "| `{key}` | {} |", fate.replace('|', "\\|")).expect("text"),
                None => forgotten.push(format!("{title}: {key}")),
            }
        }
    }
    assert_eq!(forgotten, Vec::<String>::new(), "give each of them a place in src/compose/refuse/");
    let file = root("docs/reference/compose.md");
    let text = std::fs::read_to_string(&file).expect("docs/reference/compose.md");
    let (head, documented) = text.split_once(BEGIN).expect("the mark of the tables");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, format!("{head}{BEGIN}{tables}")).expect("writable");
        return;
    }
    assert!(documented == tables, "docs/reference/compose.md is stale: `UPDATE_DOCS=1 cargo test --lib specification`");
}
