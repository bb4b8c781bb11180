#![doc = include_str!("../README.md")]

mod combine;
mod config;
mod window;

pub use combine::{All, Any, Sum};
pub use config::{CombineConfig, WindowConfig};
pub use window::Window;
