//! The context of a conversion.

use ecs_scheduler_core::Timestamp;

/// The context of a conversion.
#[derive(Debug, Clone, Copy)]
pub struct ConversionContext {
    /// The maximum number of tasks of each job.
    pub max_tasks: u32,
    /// The current time; windows are compared from here.
    pub now: Timestamp,
}
