//! The engine in virtual time.

mod faults;
mod loop_;
mod queue;
mod restart;
mod support;
mod year;
