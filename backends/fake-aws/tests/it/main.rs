//! The fake against the documented behaviour of the services, by plain HTTP.

mod help;
mod lives;
mod run_task;
mod tasks;
mod tokens;
