#![doc = include_str!("../README.md")]

mod bucket;
mod codec;
mod documents;
mod error;
mod keys;
mod log;
mod open;
mod probe;

pub use keys::permissions;
pub use open::{S3Options, examine, look, open};
