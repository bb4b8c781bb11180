//! The engine in virtual time.

mod cap;
mod edits;
mod ends;
mod faults;
mod loop_;
mod queue;
mod replace;
mod restart;
mod retry;
mod support;
mod year;
