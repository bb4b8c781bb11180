//! The engine in virtual time.

mod backfill;
mod backfill_faults;
mod backfill_told;
mod breaker;
pub(crate) mod budget;
mod budget_kinds;
mod cap;
mod clock;
mod edits;
mod ends;
mod failing;
mod faults;
mod hangs;
mod history;
mod logs;
pub(crate) mod notify;
mod queue;
mod reachable;
mod refused;
mod replace;
mod restart;
mod retry;
mod spans;
pub(crate) mod support;
mod task_retry;
mod ticks;
mod year;
