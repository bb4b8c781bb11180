//! A model of a queue whose counts lag and whose tasks start late, for measuring scaling rules.
//!
//! Time passes in steps of one second. A rule is evaluated every [`POLL`] seconds, with the queue's counts of up to
//! [`QueueSetting::max_lag`] seconds ago (a random lag that changes every 20 s) and the list of its tasks of 1–5 s ago. A task
//! starts 20–60 s after its launch, and exits after 5 s without a message. Messages arrive for [`HOUR`] seconds; then the
//! model continues until all are done.
//!
//! [`REFERENCE`] is deterministic. [`run_scheduler`] drives the scheduler's own engine and `decide()`; [`run`] drives the
//! rules that it is compared with.

mod report;
mod rules;
mod scenario;
mod scheduler;
mod simulation;

pub use report::{Report, summary};
pub use rules::{ModelRule, QueueView, run};
pub use scenario::{Arrivals, QueueSetting, REFERENCE, SCENARIOS, STEADY_START, Scenario};
pub use scheduler::{run_scheduler, run_with_default_settle};
pub use simulation::QueueSimulation;

/// For how long messages arrive, in seconds.
pub const HOUR: u32 = 3_600;
/// The interval at which a rule is evaluated, in seconds.
pub const POLL: u32 = 30;
/// The maximum number of concurrent tasks.
pub const MAX_TASKS: u32 = 50;
/// How long a received message is invisible, in seconds.
pub const VISIBILITY_TIMEOUT: u32 = 300;
