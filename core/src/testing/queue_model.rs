//! A model of a queue whose counts lag and whose tasks start late, to measure rules that say how many tasks to launch.
//!
//! Time passes in steps of one second. A rule is asked every [`POLL`] seconds and sees the queue's counts as they were
//! up to [`Setting::max_lag`] seconds ago, the lag drawn anew every 20 s, and the list of its tasks as it was 1–5 s
//! ago. A task starts 20–60 s after it was launched, and exits after 5 s of receiving nothing. Messages arrive for
//! [`HOUR`] seconds; then the model goes on until all are done.
//!
//! In [`REFERENCE`] nothing is drawn. [`run_product`] drives the product's own engine, ledger and `decide()`; [`run`] the rules it is compared with.

mod product;
mod report;
mod rules;
mod scenario;
mod world;

pub use product::{run_product, run_with_default_settle};
pub use report::{Report, summary};
pub use rules::{Rule, View, run};
pub use scenario::{Arrivals, REFERENCE, SCENARIOS, STEADY_START, Scenario, Setting};
pub use world::QueueWorld;

/// For how long messages arrive, in seconds.
pub const HOUR: u32 = 3_600;
/// How often a rule is asked, in seconds.
pub const POLL: u32 = 30;
/// The most tasks that may exist at once.
pub const MOST_TASKS: u32 = 50;
/// For how long a received message is invisible, in seconds.
pub const VISIBILITY_TIMEOUT: u32 = 300;
