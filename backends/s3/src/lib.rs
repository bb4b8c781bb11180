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

pub use open::{S3Options, diagnose, look, open};
pub use permissions::permissions;
