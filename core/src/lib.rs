//! The engine of ECS Scheduler.

pub mod schedule;
