#![doc = include_str!("../README.md")]

mod adopt;
mod desk;
mod documents;
mod entry;
mod gate;
mod intake;
mod log;
mod segment;
mod site;
mod snapshot;
mod state;
mod store;
mod takeover;
mod upkeep;
mod writer;

pub use documents::{Document, DocumentVersion, Documents};
pub use log::{Created, Log};
pub use store::{SegmentOptions, SegmentStore};
