#![doc = include_str!("../README.md")]

mod advance;
mod codec;
mod config;
mod error;
mod group_commit;
mod history;
mod import;
mod job_list;
mod jobs;
mod open;
mod pool;
mod prune;
mod registers;
mod schema;
mod session;
mod settle;
mod shared_store;
mod store;
mod tls;

pub use config::check_url;
pub use open::PostgresOptions;
pub use store::PostgresStore;
