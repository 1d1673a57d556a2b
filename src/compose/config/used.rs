//! Removes unused resources: compose does not create them, so `config` does not show them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Removes the resources that no service of the model uses.
pub(super) fn keep(model: &mut Map<String, Value>) {
    let services: Vec<&Value> = ["services", "jobs"]
        .into_iter()
        .filter_map(|section| model.get(section)?.as_object())
        .flat_map(Map::values)
        .collect();
    let used = [
        ("networks", names(&services, &["networks"])),
        ("volumes", mounted_volumes(&services)),
        ("secrets", [sources(&services, &["secrets"]), sources(&services, &["build", "secrets"])].concat()),
        ("configs", sources(&services, &["configs"])),
        ("models", names(&services, &["models"])),
    ];
    let used = used.map(|(section, names)| (section, names.into_iter().collect::<BTreeSet<String>>()));
    for (section, names) in used {
        if let Some(declared) = model.get_mut(section).and_then(Value::as_object_mut) {
            declared.retain(|name, _| names.contains(name));
            if declared.is_empty() {
                model.shift_remove(section);
            }
        }
    }
}

fn at<'v>(service: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(service, |value, key| &value[*key])
}

fn names(services: &[&Value], path: &[&str]) -> Vec<String> {
    let maps = services.iter().filter_map(|service| at(service, path).as_object());
    maps.flat_map(|map| map.keys().cloned()).collect()
}

fn sources(services: &[&Value], path: &[&str]) -> Vec<String> {
    let items = services.iter().filter_map(|service| at(service, path).as_array()).flatten();
    items.filter_map(|item| item["source"].as_str().map(str::to_owned)).collect()
}

fn mounted_volumes(services: &[&Value]) -> Vec<String> {
    let mounts = services.iter().filter_map(|service| service["volumes"].as_array()).flatten();
    let volumes = mounts.filter(|mount| mount["type"] == "volume");
    volumes.filter_map(|mount| mount["source"].as_str().map(str::to_owned)).collect()
}
