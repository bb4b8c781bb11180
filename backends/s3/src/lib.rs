#![doc = include_str!("../README.md")]

mod bucket;
mod codec;
mod documents;
mod error;
mod keys;
mod log;
mod open;
mod permissions;
mod probe;
mod provider;

pub use open::{S3Options, diagnose, open, open_read_only};
pub use permissions::permissions;
pub use provider::S3Provider;
