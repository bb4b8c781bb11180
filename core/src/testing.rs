//! Virtual time, chaos and conformance suites, for the tests of this crate and of crates outside it.
//!
//! Simulations run under tokio's paused clock (`#[tokio::test(start_paused = true)]`): [`SimClock`] is moved by the
//! same virtual time that timers are, so that a year passes as fast as its work can be done.

mod chaos_store;
mod clock;
pub mod format_fixture;
mod launcher;
pub mod launcher_suite;
mod network_fault;
pub mod queue_model;
mod rng;
pub mod sample;
mod simulation;
pub mod store_suite;
pub mod trigger_suite;

pub use chaos_store::{ChaosStore, StoreFaults};
pub use clock::SimClock;
pub use launcher::{ChaosLauncher, ChaosPlan, Fate, Start};
pub use network_fault::{Gate, GatedLauncher, GatedStore, Passage};
pub use rng::SimRng;
pub use simulation::{Audit, Life, World};
