//! The proxy's image against its control API, in real containers. Needs `debian:trixie-slim`, and nothing from a registry.

mod access_log;
mod attacks;
mod backend;
mod basic_auth;
mod canary;
mod client;
mod control;
mod crowds;
#[path = "../durations.rs"]
mod durations;
mod edge;
#[path = "../full_record.rs"]
mod full_record;
mod gate;
mod hosts;
mod https;
mod inflight;
mod inner;
mod interim;
mod interruptions;
mod own_log;
mod paths;
mod persistence;
mod projects;
mod random;
mod rates;
mod raw;
mod record;
mod redirects;
mod releases;
mod retries;
mod routing;
mod scraped;
mod spoofed;
mod streaming;
mod table;
mod trusted;
mod uploads;
mod workers;
mod world;
