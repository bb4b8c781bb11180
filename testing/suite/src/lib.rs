#![doc = include_str!("../README.md")]
//!
//! Simulations run under tokio's paused clock (`#[tokio::test(start_paused = true)]`): [`SimClock`] follows the same virtual
//! time as timers, so that a simulated year takes only as long as its work.

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

pub use chaos_store::{ChaosStore, ChaosWrite, StoreFaults};
pub use clock::{ManualClock, SimClock};
pub use launcher::{ChaosLauncher, ChaosPlan, Fate, Start};
pub use network_fault::{NetworkFault, NetworkLink, RemoteLauncher, RemoteStore};
pub use rng::SimRng;
pub use simulation::{EngineRun, InvariantReport, Simulation};
