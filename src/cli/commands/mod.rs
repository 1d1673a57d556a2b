//! One file per command, with its arguments and implementation.

pub(super) mod again;
pub(super) mod certificates;
pub(super) mod completions;
pub(super) mod config;
pub(super) mod dashboard;
pub(super) mod deploy;
pub(super) mod doctor;
pub(super) mod down;
pub(super) mod drain_test;
pub(super) mod exec;
pub(super) mod history;
pub(super) mod init;
mod interrupted;
pub(super) mod logs;
pub(super) mod ls;
pub(super) mod maintenance;
pub(super) mod man;
pub(super) mod pause;
pub(super) mod plan;
pub(super) mod proxy;
pub(super) mod prune;
pub(super) mod remove;
pub(super) mod rollback;
pub(super) mod run;
pub(super) mod scale;
pub(super) mod schema;
pub(super) mod status;
