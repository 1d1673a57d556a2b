//! What must hold for every input, whoever makes it up: cargo-fuzz with coverage, or `tests/fuzz` with stable Rust.
//!
//! Each function takes bytes, and panics when a property does not hold for them.

mod choices;
mod compose;
mod control;
mod interpolation;
mod plan;
mod world;

pub use compose::compose;
pub use control::control;
pub use interpolation::interpolation;
pub use plan::plan;
