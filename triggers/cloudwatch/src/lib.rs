#![doc = include_str!("../README.md")]

mod alarm;
mod batch_queries;
mod config;
mod explain;
mod expression;
mod limits;
mod query;
mod query_plan;
mod query_result;
mod regional_batchers;
mod source;
mod stat;
mod trigger;
mod window;

pub use config::{CloudWatchConfig, Comparison, MetricConfig, MissingData, Span, StepConfig};
pub use trigger::CloudWatch;
