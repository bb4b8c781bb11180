#![doc = include_str!("../README.md")]

mod combine;
mod config;
mod trigger;

pub use config::{CombineConfig, WindowConfig};
pub use trigger::{All, Any, Sum, Window};
