#![doc = include_str!("../README.md")]

mod codec;
mod desk;
mod fault;
mod jobs;
mod journal;
mod layout;
mod line;
mod list;
mod place;
mod registers;
mod session;
mod settle;
mod shared;
mod store;
mod tls;
mod upkeep;

pub use place::check_url;
pub use store::{PostgresOptions, PostgresStore};
