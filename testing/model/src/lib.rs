#![doc = include_str!("../README.md")]

mod check;
mod config;
mod job;
mod owner;
mod protocol;
mod state;
mod store;

pub use check::{Search, search, shortest};
pub use config::{CatchUp, Config, Faults, Safeguards, Token};
pub use job::{Earlier, Job, Moment, Moments, Plan, Schedule};
pub use protocol::{Action, Answer, CallAnswer, Protocol, SourceRead, property};
pub use state::{Broken, Editor, Engine, Firing, FiringDriver, Late, MOMENTS, Owner, Settlement, State};
