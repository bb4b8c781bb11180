//! ECS Scheduler as a library: REST API, command line, configuration and wiring.
//!
//! A program with triggers of its own is a `main.rs` of ten lines:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use ecs_scheduler_core::{async_trait, BuildContext, EvalContext, Evaluation, Trigger, TriggerError, TriggerType};
//! use std::process::ExitCode;
//!
//! use ecs_scheduler::{ConfigError, Server};
//! # struct Always;
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # struct Nothing {}
//! # #[derive(Debug)]
//! # struct Built;
//! # #[async_trait]
//! # impl Trigger for Built {
//! #     async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
//! #         Ok(Evaluation::floor("always"))
//! #     }
//! # }
//! # impl TriggerType for Always {
//! #     const KIND: &'static str = "always";
//! #     const SUMMARY: &'static str = "Fires at each tick";
//! #     type Config = Nothing;
//! #     fn build(&self, _: Nothing, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
//! #         Ok(Arc::new(Built))
//! #     }
//! # }
//!
//! fn main() -> Result<ExitCode, ConfigError> {
//!     Ok(Server::builder().standard()?.trigger(Always).run())
//! }
//! ```

pub mod access;
pub mod allocator;
pub mod api;
mod budgets;
pub mod cli;
pub mod client;
pub mod config;
pub mod convert;
mod crontab_rule;
pub mod demo;
pub mod descriptors;
pub mod error;
pub mod input;
mod json;
pub mod notify;
pub mod output;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod transfer;
pub mod wiring;
mod yaml;

pub use ecs_scheduler_core::ConfigError;
pub use server::{Server, ServerBuilder};
