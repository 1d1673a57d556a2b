//! The engine port against a real engine. Needs `debian:trixie-slim`, and nothing from a registry.

mod builds;
mod connect;
mod containers;
mod dial;
mod files;
mod keys;
mod registry;
mod world;
