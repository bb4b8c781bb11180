//! Several replicas in virtual time, on one store.

mod assignment;
mod backfill;
mod budget;
pub(crate) mod cluster;
mod edits;
mod faults;
mod hangs;
mod notify;
