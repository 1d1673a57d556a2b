//! An empty text is often the result of an unset variable: `platform: ${PLATFORM:-}`. Where compose treats it as "not
//! set", it is removed from the tree here, so that no reader sees it. Empty values of variables and labels are kept.

use crate::compose::text::node::{Map, Node, Value};

/// Removes empty texts from a merged tree.
pub(in crate::compose) fn take_out(root: &mut Node) {
    walk(root, &mut Vec::new());
}

fn walk(node: &mut Node, path: &mut Vec<String>) {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let (unset, listed) = (is_unset(&parts), drops_empty_items(&parts));
    let (is_build, is_hosts) = (parts.last() == Some(&"build"), parts.last() == Some(&"extra_hosts"));
    if unset && is_empty(node) {
        // An empty `build` is a build of the project's folder.
        node.value = if is_build { Value::Map(Map::default()) } else { Value::Null };
        return;
    }
    match &mut node.value {
        Value::Map(map) => {
            for entry in &mut map.entries {
                path.push(entry.key.clone());
                walk(&mut entry.value, path);
                path.pop();
            }
            if listed {
                map.entries.retain(|entry| !entry.key.is_empty());
            }
            if is_hosts {
                map.entries.retain(|entry| !entry.value.is_null());
            }
        }
        Value::List(items) => {
            if listed {
                items.retain(|item| !is_empty(item));
            }
            path.push("[]".to_owned());
            items.iter_mut().for_each(|item| walk(item, path));
            path.pop();
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

fn is_empty(node: &Node) -> bool {
    node.as_text() == Some("")
}

/// Whether an empty text means "not set" here.
fn is_unset(path: &[&str]) -> bool {
    match path {
        ["services", _, rest @ ..] => matches!(
            rest,
            ["build" | "cgroup_parent" | "cpuset" | "dns" | "dns_search" | "domainname" | "hostname"]
                | ["ipc" | "isolation" | "mac_address" | "network_mode" | "pid" | "platform" | "runtime"]
                | ["restart" | "stop_signal" | "tmpfs" | "user" | "userns_mode" | "uts" | "working_dir"]
                | ["build", "context" | "dockerfile" | "dockerfile_inline" | "isolation" | "network" | "target"]
                | ["configs" | "secrets", "[]", "gid" | "target" | "uid"]
                | ["deploy", "mode"]
                | ["deploy", "restart_policy", "condition"]
                | ["deploy", "rollback_config" | "update_config", "failure_action"]
                | ["deploy", "resources", "reservations", "devices", "[]", "driver"]
                | ["devices", "[]", "permissions" | "target"]
                | ["env_file", "[]", "format"]
                | ["extra_hosts", _]
                | ["build", "extra_hosts", _]
                | ["gpus", "[]", "driver"]
                | ["logging", "driver"]
                | ["networks", _, "interface_name" | "ipv4_address" | "ipv6_address" | "mac_address"]
                | ["ports", "[]", "protocol" | "published"]
                | ["post_start" | "pre_start" | "pre_stop", "[]", "user" | "working_dir"]
                | ["volumes", "[]", "source"]
                | ["volumes", "[]", "bind", "propagation"]
                | ["volumes", "[]", "image" | "volume", "subpath"]
        ),
        ["networks", _, "driver" | "name"]
        | ["networks", _, "ipam", "driver"]
        | ["networks", _, "ipam", "config", "[]", "gateway" | "ip_range" | "subnet"]
        | ["volumes", _, "driver" | "name"]
        | ["networks" | "volumes" | "secrets" | "configs", _, "external", "name"] => true,
        _ => false,
    }
}

/// Lists, and maps that may be written as lists, in which empty items are ignored.
fn drops_empty_items(path: &[&str]) -> bool {
    match path {
        ["services", _, rest @ ..] => matches!(
            rest,
            ["annotations" | "cap_add" | "cap_drop" | "device_cgroup_rules" | "devices" | "dns" | "dns_opt"]
                | ["dns_search" | "environment" | "expose" | "external_links" | "group_add" | "labels"]
                | ["security_opt" | "sysctls" | "tmpfs"]
                | ["build", "args" | "cache_from" | "extra_hosts" | "labels" | "platforms" | "tags"]
                | ["deploy", "resources", "reservations", "devices", "[]", "capabilities" | "device_ids" | "options"]
                | ["extra_hosts"]
                | ["extra_hosts", _]
                | ["build", "extra_hosts", _]
                | ["gpus", "[]", "capabilities" | "device_ids" | "options"]
                | ["networks", _, "aliases" | "link_local_ips"]
                | ["post_start" | "pre_start" | "pre_stop", "[]", "environment"]
                | ["volumes", "[]", "volume", "labels"]
        ),
        ["networks" | "volumes", _, "labels"] => true,
        _ => false,
    }
}
