//! The conformance suite for launchers, which every implementation must pass.
//!
//! A crate with a launcher implements [`LauncherFixture`] and calls [`launcher_suite!`](macro@crate::launcher_suite) with the attribute of
//! its tests. Each behaviour becomes a separate test, named like its function in this module.
//!
//! ```
//! use std::sync::Arc;
//! use ecs_scheduler_testing::launcher_suite::{Sample, LauncherFixture};
//! use ecs_scheduler_testing::{ChaosLauncher, Fate};
//! use ecs_scheduler_core::{Launcher, SystemClock, async_trait};
//!
//! struct Chaos(Arc<ChaosLauncher>);
//!
//! impl Chaos {
//!     fn new() -> Self {
//!         let launcher = ChaosLauncher::new(Arc::new(SystemClock), 1);
//!         launcher.define("lasts", Fate::Lasts);
//!         Self(Arc::new(launcher))
//!     }
//! }
//!
//! #[async_trait]
//! impl LauncherFixture for Chaos {
//!     async fn open(&self) -> Arc<dyn Launcher> {
//!         self.0.clone()
//!     }
//!
//!     fn definition(&self, sample: Sample) -> String {
//!         format!("{sample:?}").to_lowercase()
//!     }
//! }
//!
//! ecs_scheduler_testing::launcher_suite!(#[tokio::test] Chaos::new());
//! # fn main() {}
//! ```

mod calls;
mod lifecycle;
mod logs;
mod tokens;

use std::sync::Arc;

use async_trait::async_trait;

use ecs_scheduler_core::launcher::Launcher;

pub use lifecycle::*;
pub use logs::*;
pub use tokens::*;

/// A fixture that opens a launcher: without tasks at first, each value another launcher.
#[async_trait]
pub trait LauncherFixture: Send + Sync {
    /// Opens the launcher, or reopens it with its tasks after the previous handle was dropped.
    async fn open(&self) -> Arc<dyn Launcher>;

    /// Returns the task definition with this behaviour.
    fn definition(&self, sample: Sample) -> String;
}

/// The behaviour of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// It soon exits with code 0.
    Succeeds,
    /// It soon exits with code 3.
    Fails,
    /// It runs until it is stopped, at least for a minute.
    Lasts,
    /// It is accepted and then fails to start.
    Unstartable,
    /// The definition does not exist.
    Unknown,
}

/// Makes a test of every behaviour that a launcher must show, each on a fresh `$subject`.
#[macro_export]
macro_rules! launcher_suite {
    (#[$test:meta] $subject:expr) => {
        $crate::launcher_behaviours!(#[$test] $subject;
            a_successful_task_reports_exit_code_zero
            a_failed_task_reports_its_exit_code
            a_task_that_cannot_start_stops_with_a_reason_and_without_an_exit_code
            a_task_is_observable_until_its_end_and_afterwards
            a_stopped_task_has_the_reason
            stopping_a_stopped_or_unknown_task_changes_nothing
            observing_leaves_out_unknown_tasks
            the_population_is_the_live_tasks_of_one_job
            the_population_survives_a_restart
            the_end_of_a_task_is_observed_after_a_restart
            an_unknown_definition_is_refused_permanently
            a_launch_of_several_tasks_names_each_of_them
            a_launch_of_too_many_tasks_fails_without_effect
            a_repeated_token_reports_the_same_tasks_and_starts_none
            a_repeated_token_starts_nothing_after_its_tasks_have_ended
            a_repeated_token_starts_nothing_after_a_restart
            concurrent_calls_with_one_token_start_once
            a_retry_of_a_cancelled_call_starts_nothing_twice
            different_tokens_start_different_tasks
            the_output_of_an_ended_task_has_pages_or_is_not_found
            the_output_of_an_unknown_task_has_no_lines
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! launcher_behaviours {
    (#[$test:meta] $subject:expr;) => {};
    (#[$test:meta] $subject:expr; $name:ident $($rest:ident)*) => {
        #[$test]
        async fn $name() {
            $crate::launcher_suite::$name(&$subject).await;
        }
        $crate::launcher_behaviours!(#[$test] $subject; $($rest)*);
    };
}
