//! A launcher and a store for ECS Scheduler, installed from outside its repository.
//!
//! The launcher `spool` puts each task into a folder. Workers on any number of machines that mount the folder take tasks from
//! it and run them. The store `mounted-postgres` is the built-in PostgreSQL store with a URL from a mounted file.

mod launcher;
mod spool;
mod store;
pub mod worker;

pub use launcher::SpoolProvider;
pub use spool::Spool;
pub use store::MountedPostgres;
