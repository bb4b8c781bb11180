#![doc = include_str!("../README.md")]

mod config;
mod trigger;

pub use config::CronConfig;
pub use trigger::Cron;
