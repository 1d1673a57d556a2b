//! Finds the files, resolves includes and `extends`, and merges them to one tree.

pub(super) mod empty_values;
pub(super) mod env_files;
pub(super) mod include;
pub(super) mod item_keys;
pub(super) mod layers;
pub(super) mod paths;
pub(super) mod profiles;
pub(super) mod project_name;
pub(super) mod rules;
pub(super) mod source;
