//! ECS Scheduler as a library: REST API, command line, configuration and wiring.

pub mod api;
pub mod cli;
pub mod config;
pub mod demo;
pub mod shutdown;
pub mod telemetry;
pub mod wiring;
