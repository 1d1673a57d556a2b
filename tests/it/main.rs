//! The core against a world in memory: whole plans as text, a fault and a crash at every call, random states.
//!
//! The world has a virtual clock, so waits cost nothing; it checks the laws on every call itself.

mod circles;
mod documents;
mod fixture;
mod flips;
#[path = "../full_record.rs"]
mod full_record;
mod hooks;
mod init_cases;
mod interruptions;
mod judge;
mod laws;
mod layers;
mod leases;
mod operations;
mod plans;
mod scenes;
#[path = "../schema.rs"]
mod schema;
mod schema_sides;
mod schemas;
mod session;
mod step_ids;
mod takeovers;
mod walks;
mod words;
mod world;

mod accessories;
mod atomic;
mod behaviours;
mod canaries;
mod cancels;
mod crashes;
mod crowds;
mod drains;
mod failures;
mod memory;
mod one_offs;
mod order;
mod prunes;
mod removals;
mod restarts;
mod saved;
mod scenarios;
mod unstable;
mod verdicts;
