//! Tests of the PostgreSQL store on a real server.

mod conformance;
mod edits;
mod faults;
mod fixture;
mod formats;
mod pgbouncer;
mod server;
mod startup;
