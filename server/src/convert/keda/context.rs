//! The context of a conversion.

use ecs_scheduler_core::Timestamp;

/// The context of a conversion.
#[derive(Debug, Clone, Copy)]
pub struct ConversionContext {
    /// The bound of every job.
    pub max_tasks: u32,
    /// The present moment, from which windows of time are measured.
    pub now: Timestamp,
}
