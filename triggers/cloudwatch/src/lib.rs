#![doc = include_str!("../README.md")]

mod answer;
mod check;
mod config;
mod expression;
mod judge;
mod limits;
mod pack;
mod query;
mod sites;
mod source;
mod stat;
mod trigger;
mod window;
mod words;

pub use config::{CloudWatchConfig, Comparison, MetricConfig, Missing, Span, StepConfig};
pub use trigger::CloudWatch;
