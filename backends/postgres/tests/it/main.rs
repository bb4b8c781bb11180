//! The tests of the PostgreSQL store, on a real server.

mod conformance;
mod formats;
mod help;
mod pooled;
mod refusals;
mod server;
mod trouble;
