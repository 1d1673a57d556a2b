//! Parses text to a tree with positions, and reads single values.

pub(super) mod accessories;
pub(super) mod collections;
pub(super) mod dotenv;
pub(super) mod interpolate;
pub(super) mod merge_keys;
pub(super) mod node;
pub(super) mod parse;
pub(super) mod root;
pub(super) mod scalar;
pub(super) mod shell_words;
pub(super) mod short_forms;
pub(super) mod sources;
pub(super) mod suggest;
