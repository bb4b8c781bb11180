#![doc = include_str!("../README.md")]
//!
//! Simulations run under tokio's paused clock (`#[tokio::test(start_paused = true)]`): [`SimClock`] follows the same virtual
//! time as timers, so that a simulated year takes only as long as its work.

mod chaos_store;
mod clock;
pub mod edit_property;
pub mod format_fixture;
mod launcher;
pub mod launcher_suite;
pub mod member;
mod network_fault;
pub mod queue_model;
mod rng;
pub mod sample;
mod schedulers;
mod simulation;
pub mod store_suite;
pub mod trigger_suite;

pub use chaos_store::{ChaosStore, ChaosWrite, StoreFaults};
pub use clock::{ManualClock, SimClock};
pub use launcher::{ChaosLauncher, ChaosPlan, Fate, Start};
pub use network_fault::{NetworkFault, NetworkLink, RemoteLauncher, RemoteStore, hold_time};
pub use rng::SimRng;
pub use schedulers::Schedulers;
pub use simulation::{EngineRun, InvariantReport, Simulation};
