//! The engine in virtual time.

mod faults;
mod loop_;
mod restart;
mod support;
mod year;
