//! The SQLite store of ECS Scheduler.
