//! The proxy: the client of its control API, and its embedded image.
//!
//! The API speaks HTTP/1.1 over streams that [`crate::ports::Dial`] opens; `nginx/README.md` documents its calls.

mod call;
mod canary;
mod channel;
mod client;
mod embed;
mod error;
mod lease;
mod overview;
mod pool;
mod releases;
mod totals;
mod wire;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use client::{CONTROL_API, CONTROL_SOCKET, ControlClient};
pub use embed::{build, build_id};
pub use lease::Lease;
