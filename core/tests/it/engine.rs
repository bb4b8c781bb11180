//! The engine in virtual time.

mod faults;
mod loop_;
mod support;
mod year;
