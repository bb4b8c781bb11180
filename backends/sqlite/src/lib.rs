//! The SQLite store of ECS Scheduler: jobs, journal and registers in one file, durable on return.
//!
//! `doc/stores.md` says what is promised and how the file looks. In short: one thread writes, and commits whatever
//! waits in one go (`group_commit`); a few connections read beside it (`pool`); the order of the jobs and the jobs
//! last used are kept in memory (`row_cache`), which is sound because a lock beside the file (`lock`) keeps a second
//! scheduler away.
//!
//! ```no_run
//! # use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
//! # async fn open() -> Result<(), ecs_scheduler_core::StoreError> {
//! let store = SqliteStore::open("/var/lib/ecs-scheduler/jobs.db", SqliteOptions::default()).await?;
//! # drop(store); Ok(()) }
//! ```

mod advance;
mod backup;
mod checkpoint;
mod codec;
mod error;
mod file_identity;
mod group_commit;
mod history;
mod import;
mod jobs;
mod lock;
mod open;
mod pool;
mod prune;
mod row_cache;
mod settle;
mod store;
mod writer_conn;

pub use backup::{Contents, backup, examine, restore};
pub use store::{SqliteOptions, SqliteStore};
