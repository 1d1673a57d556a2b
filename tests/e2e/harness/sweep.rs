//! Removes what scenarios have created: at their end, and after test runs that were killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The prefix of the name that a build gives to its image; the digest of its source follows.
pub(super) const BUILT: &str = "deploy-apps/built:";

/// A name that contains the process id, so that a run does not remove containers of another running one.
pub(super) fn name(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("e2e-{test}-p{}n{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes what dead processes have left; a killed run would otherwise occupy addresses, ports and memory permanently.
pub(super) fn sweep() {
    static SWEPT: Once = Once::new();
    let is_left = |name: &str| owner(name).is_some_and(|pid| !Path::new("/proc").join(pid).exists());
    SWEPT.call_once(|| {
        remove(is_left);
        remove_folders(is_left);
    });
}

/// Folders shared by a whole run are never dropped, so the next run removes them.
fn remove_folders(is_left: impl Fn(&str) -> bool) {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_left)) {
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

/// The process id in a name, with any suffix of the engine or the product.
fn owner(name: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_prefix("e2e-")?.split(['-', '_']);
    parts.filter_map(|part| part.strip_prefix('p')?.split_once('n')).find_map(|(pid, count)| {
        // Names of scenarios contain both numbers; names of tests do not.
        (is_number(pid) && is_number(count)).then_some(pid)
    })
}

/// Removes everything of the scenario with this name.
pub(super) fn remove_scenario(scenario: &str) {
    remove(|name| name.strip_prefix(scenario).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_'])));
}

fn remove(is_ours: impl Fn(&str) -> bool) {
    let remove = |list: &[&str], prefix: &str, verb: &[&str]| {
        let listed = docker(list);
        let names: Vec<&str> = listed.lines().filter(|name| name.strip_prefix(prefix).is_some_and(&is_ours)).collect();
        if !names.is_empty() {
            docker(&[verb, &names].concat());
        }
    };
    let ours = ["--filter", "name=e2e-"];
    remove(&[&["ps", "-a", "--format", "{{.Names}}"][..], &ours].concat(), "", &["rm", "-fv"]);
    remove(&[&["network", "ls", "--format", "{{.Name}}"][..], &ours].concat(), "", &["network", "rm"]);
    remove(&[&["volume", "ls", "--format", "{{.Name}}"][..], &ours].concat(), "", &["volume", "rm"]);
    remove_images(&docker(&["images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]), &is_ours);
}

/// Removes an image's other tags, then the name that its build gave to it.
fn remove_images(listed: &str, is_ours: &impl Fn(&str) -> bool) {
    let mut images: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, tag) in listed.lines().filter_map(|line| line.split_once(' ')) {
        images.entry(id).or_default().push(tag);
    }
    let is_own = |tag: &&str| tag.strip_prefix("deploy-apps/").is_some_and(is_ours);
    let goes = |tags: Vec<&'_ str>| {
        let (own, others): (Vec<_>, Vec<_>) = tags.into_iter().partition(|tag| is_own(tag));
        let is_last = !own.is_empty() && others.iter().all(|tag| tag.starts_with(BUILT));
        own.into_iter().chain(others.into_iter().filter(|_| is_last)).map(str::to_owned).collect::<Vec<_>>()
    };
    let going: Vec<String> = images.into_values().flat_map(goes).collect();
    if !going.is_empty() {
        docker(&[&["rmi"], &going.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    }
}

/// Removes an image, including the name that its build gave to it.
pub fn remove_image(tag: &str) {
    let tags = with_built(&[tag]);
    docker(&[&["rmi", "-f"], &tags.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
}

/// These tags, and the names that builds gave to the same images.
pub(super) fn with_built(tags: &[&str]) -> Vec<String> {
    let named = |tag: &&str| docker(&["image", "inspect", "--format", "{{join .RepoTags \" \"}}", tag]);
    let others: Vec<String> = tags.iter().map(named).collect();
    let built = others.iter().flat_map(|tags| tags.split(' ')).filter(|tag| tag.starts_with(BUILT));
    tags.iter().copied().chain(built).map(str::to_owned).collect()
}

/// Runs the docker CLI.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker command");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    text.join("\n").trim().to_owned()
}
