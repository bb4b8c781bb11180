//! The local launcher of ECS Scheduler: task definitions as processes of this machine.
//!
//! It reads task definitions in ECS's own JSON from a folder and runs their containers as processes, each behind a
//! small shell that proves its start and keeps its exit code. Tasks outlive the scheduler; a restarted scheduler
//! resumes them. `doc/local-launcher.md` describes its use.
//!
//! ```text
//! launch(token) ─▶ record on disk ─▶ report          one file per call, synced before anything starts
//!                        │
//!                   Supervisor ─▶ sh ─▶ marker (O_EXCL) ─▶ command ─▶ <container>.exit
//!                        │                                   ▲
//!   open() ─▶ records ─▶ resume: marker? alive? exit code? ──┘   never a second start
//! ```

mod cleanup;
mod container;
mod context;
mod data_dir;
pub mod definition;
mod definition_store;
mod launch;
mod launcher;
mod limits;
mod log_reader;
mod log_writer;
mod logs;
mod options;
mod provider;
mod resolved_task;
mod shim;
mod supervisor;
mod task_table;

pub use crate::definition::{DefinitionProblem, LocalDefinition};
pub use crate::definition_store::Definitions;
pub use crate::launcher::LocalLauncher;
pub use crate::options::LocalOptions;
pub use crate::provider::LocalProvider;
