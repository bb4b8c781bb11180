//! Virtual time, chaos and conformance suites, for the tests of this crate and of crates outside it.
//!
//! Chaos runs under tokio's paused clock (`#[tokio::test(start_paused = true)]`): [`SimClock`] is moved by the same
//! virtual time that timers are, so that a year passes as fast as its work can be done.

mod clock;
mod launcher;
mod rng;
pub mod store_suite;

pub use clock::SimClock;
pub use launcher::{ChaosLauncher, ChaosPlan, Fate, Start};
pub use rng::SimRng;
