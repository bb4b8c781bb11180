//! The SQLite store of ECS Scheduler: jobs, journal and registers in one file, durable on return.
//!
//! `doc/stores.md` describes the guarantees and the format of the file. In short: one thread writes, and commits all
//! waiting commands in one transaction (`writer_thread`); a few connections read (`pool`); the order of the jobs and the
//! jobs used last are kept in memory (`row_cache`). The cache is always current, because a lock file (`lock`) keeps a
//! second scheduler away. A store for reading only (`snapshot`) keeps one transaction open, and needs no lock.
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
mod connection;
mod error;
mod file_check;
mod file_identity;
mod health;
mod history;
mod import;
mod jobs;
mod lock;
mod open;
mod pool;
mod provider;
mod prune;
mod registers;
mod row_cache;
mod schema;
mod settle;
mod snapshot;
mod store;
mod writer_conn;
mod writer_thread;

pub use backup::{BackupContents, backup, restore, verify};
pub use lock::{Lock, lock};
pub use open::SqliteOptions;
pub use provider::SqliteProvider;
pub use store::SqliteStore;
