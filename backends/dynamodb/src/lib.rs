#![doc = include_str!("../README.md")]

mod advance;
mod backoff;
mod change_log;
mod codec;
mod context;
mod db;
mod diagnose;
mod expression;
mod external_edits;
mod group_commit;
mod history;
mod import;
mod job_index;
mod job_meta;
mod jobs;
mod journal_writer;
mod keys;
mod limits;
mod merge_pages;
mod permissions;
mod prune;
mod read_jobs;
mod registers;
mod row;
mod schema;
mod settle;
mod shared_store;
mod store;
mod write;
mod write_set;

pub use diagnose::examine;
pub use permissions::permissions;
pub use store::{DynamoDbOptions, DynamoDbStore};
