#![doc = include_str!("../README.md")]

mod address;
mod config;
mod demand;
mod limits;
mod regional_batchers;
mod source;
mod trigger;

pub use config::SqsConfig;
pub use trigger::Sqs;
