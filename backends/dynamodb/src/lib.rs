#![doc = include_str!("../README.md")]

mod adopting;
mod advance;
mod db;
mod directory;
mod examine;
mod head;
mod history;
mod item;
mod jobs;
mod keys;
mod lane;
mod limits;
mod mark;
mod patience;
mod permissions;
mod plan;
mod prune;
mod reading;
mod registers;
mod row;
mod settle;
mod shared;
mod sharing;
mod store;
mod streams;
mod tables;
mod takeover;
mod words;
mod write;

pub use examine::examine;
pub use permissions::permissions;
pub use store::{DynamoDbOptions, DynamoDbStore};
