//! The engine in virtual time.

mod edits;
mod faults;
mod loop_;
mod queue;
mod restart;
mod retry;
mod support;
mod year;
