//! Integration tests of the core, in one binary: linking is the cost.

mod memory;
mod schedule;
