//! Integration tests of the SQLite store, in one binary: linking is the cost.

mod conformance;
mod failures;
mod files;
mod help;
mod python;
