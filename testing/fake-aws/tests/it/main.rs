//! The fake against the documented behaviour of the services, by plain HTTP.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod cloudwatch;
mod control;
mod dynamodb;
mod events;
mod faults;
mod fifo;
mod help;
mod identity;
mod logs;
mod permissions;
mod queues;
mod quotas;
mod refusals;
mod run_task;
mod series;
mod sns;
mod task_lifecycle;
mod tasks;
mod tokens;
