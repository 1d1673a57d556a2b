//! Takes away what scenarios have made: one's own at its end, and that of test runs which were killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The name that a build gives to its image, before the digest of its source.
pub(super) const BUILT: &str = "deploy-apps/built:";

/// A name that says which process it belongs to, so that a run never takes another one's containers for leftovers.
pub(super) fn name(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("e2e-{test}-p{}n{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes what dead processes have left; a killed run would else hold addresses, ports and memory for ever.
pub(super) fn sweep() {
    static SWEPT: Once = Once::new();
    let is_left = |name: &str| owner(name).is_some_and(|pid| !Path::new("/proc").join(pid).exists());
    SWEPT.call_once(|| {
        remove(is_left);
        remove_folders(is_left);
    });
}

/// What a whole run shares is never dropped, so its folder stays for the next run to remove.
fn remove_folders(is_left: impl Fn(&str) -> bool) {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_left)) {
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

/// The process in a name, whatever the engine or the product has put behind it.
fn owner(name: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_prefix("e2e-")?.split(['-', '_']);
    parts.filter_map(|part| part.strip_prefix('p')?.split_once('n')).find_map(|(pid, count)| {
        // Both are numbers in a name of ours, and in none that a test has thought of.
        (is_number(pid) && is_number(count)).then_some(pid)
    })
}

/// Removes what belongs to the scenario of this name.
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

/// With the last of its other tags goes the one that a build gives to its image.
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

/// Removes an image with the name that its build has given to it.
pub fn remove_image(tag: &str) {
    let tags = with_built(&[tag]);
    docker(&[&["rmi", "-f"], &tags.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
}

/// These tags, and the names by which deploys know the images as builds of their sources.
pub(super) fn with_built(tags: &[&str]) -> Vec<String> {
    let named = |tag: &&str| docker(&["image", "inspect", "--format", "{{join .RepoTags \" \"}}", tag]);
    let others: Vec<String> = tags.iter().map(named).collect();
    let built = others.iter().flat_map(|tags| tags.split(' ')).filter(|tag| tag.starts_with(BUILT));
    tags.iter().copied().chain(built).map(str::to_owned).collect()
}

/// The engine's own command, for what the product has no word for.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker command");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    text.join("\n").trim().to_owned()
}
