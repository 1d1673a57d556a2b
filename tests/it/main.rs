//! The core against a world in memory: a fault and a crash at every call, judged by the laws.
//!
//! The world has a virtual clock, so waits cost nothing; it checks the laws on every call itself.

mod atomic;
mod cancels;
mod crashes;
mod drains;
mod failures;
mod fixture;
mod flips;
mod judge;
mod scenes;
mod session;
mod world;
