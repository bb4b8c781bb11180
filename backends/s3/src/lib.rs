#![doc = include_str!("../README.md")]

mod bucket;
mod documents;
mod fault;
mod layout;
mod log;
mod probe;
mod python;
mod store;

pub use layout::permissions;
pub use store::{S3Options, examine, look, open};
