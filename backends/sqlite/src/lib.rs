//! The SQLite store of ECS Scheduler: jobs, journal and registers in one file, durable on return.
//!
//! `doc/stores.md` says what is promised and how the file looks. In short: one thread writes, and commits whatever
//! waits in one go (`writer`); a few connections read beside it (`reader`); the order of the jobs and the jobs
//! last used are kept in memory (`shelf`), which is sound because a lock beside the file (`lock`) keeps a second
//! scheduler away.
//!
//! ```no_run
//! # use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
//! # async fn open() -> Result<(), ecs_scheduler_core::StoreError> {
//! let store = SqliteStore::open("/var/lib/ecs-scheduler/jobs.db", SqliteOptions::default()).await?;
//! # drop(store); Ok(()) }
//! ```

mod checkpoint;
mod codec;
mod copy;
mod fault;
mod intake;
mod lock;
mod presence;
mod reader;
mod shelf;
mod store;
mod writer;

pub use copy::{Contents, backup, examine, restore};
pub use store::{SqliteOptions, SqliteStore};
