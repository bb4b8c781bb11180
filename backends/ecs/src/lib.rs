//! The ECS launcher of ECS Scheduler.
