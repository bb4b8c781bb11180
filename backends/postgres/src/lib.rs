#![doc = include_str!("../README.md")]

mod advance;
mod codec;
mod config;
mod error;
mod history;
mod import;
mod job_list;
mod jobs;
mod open;
mod pool;
mod provider;
mod prune;
mod registers;
mod schema;
mod session;
mod settle;
mod shared_store;
mod store;
mod tls;

pub use open::PostgresOptions;
pub use provider::PostgresProvider;
pub use store::PostgresStore;
