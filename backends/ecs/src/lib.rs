#![doc = include_str!("../README.md")]

mod answer;
mod book;
mod clients;
mod definitions;
mod describe;
mod events;
mod examine;
mod hearing;
mod launcher;
pub mod options;
mod outcome;
mod permissions;
mod place;
mod preflight;
mod request;
mod search;
mod shared;
mod sizes;
mod sweep;
mod unreadable;
mod view;

pub use launcher::EcsLauncher;
pub use options::LaunchOptions;
pub use shared::EcsOptions;

use shared::Shared;
