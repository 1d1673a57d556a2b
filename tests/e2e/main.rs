//! The product as its users have it: the real binary, a real engine, a real nginx and real load.
//!
//! Each test has a project, a proxy, a port and a folder of its own, all named `e2e-<test>-…`; see [`harness`].
//! Waits poll a state and have a deadline, so a slow machine makes the tests slower, never red.

mod crash;
mod faults_health;
mod faults_neighbours;
mod faults_proxy;
mod faults_release;
mod faults_signals;
mod faults_together;
mod from_memory;
mod harness;

mod accessories;
mod acme;
mod action;
mod adopt;
mod changes;
mod clients_of_app;
mod completions;
mod dashboard;
mod dependencies;
mod doctor;
mod drain_page;
mod drain_test;
#[path = "../durations.rs"]
mod durations;
mod edge;
mod history;
mod https;
mod idle_clients;
mod inherited;
mod init;
mod input_build;
mod input_engine;
mod input_file;
mod keys;
mod logs;
mod long_requests;
mod mounts;
mod output;
mod pipelines;
mod plan;
mod plan_file;
mod prunes;
mod reboot;
mod redeploys;
mod redirects;
mod registry;
mod remote;
mod remote_errors;
mod remote_lost;
mod removals;
mod replicas;
mod restarts;
mod rollback;
mod rollback_targets;
mod route_changes;
mod run;
mod sample_checks;
mod sample_counter;
mod sample_dice;
mod sample_files;
mod sample_logs;
mod sample_stack;
mod sample_visitors;
mod sample_worker;
mod samples;
mod scale;
#[path = "../schema.rs"]
mod schema;
mod several_files;
mod status;
mod stops;
mod streams;
mod telemetry;
mod terminal;
mod together;
mod tracing;
mod unread;
mod unstable;
mod watch_alerts;
mod watch_data;
mod watch_prometheus;
mod webhooks;
mod websockets;
