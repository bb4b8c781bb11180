#![doc = include_str!("../README.md")]

mod compaction;
mod documents;
mod error;
mod external_edits;
mod import;
mod jobs;
mod lifecycle;
mod log;
mod log_op;
mod log_writer;
mod materialized_state;
mod open;
mod registers;
mod replay;
mod segment;
mod segment_writer;
mod snapshot;
mod store;

pub use documents::{Document, DocumentVersion, Documents};
pub use log::{CreateResult, ObjectLog};
pub use open::LogStoreOptions;
pub use store::LogStore;
