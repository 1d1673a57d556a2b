//! The proxy's image against its control API, in real containers. Needs `debian:trixie-slim`, and nothing from a registry.

mod access_log;
mod backend;
mod client;
mod control;
mod inflight;
mod persistence;
mod rates;
mod releases;
mod retries;
mod routing;
mod scraped;
mod streaming;
mod table;
mod trusted;
mod workers;
mod world;
