//! Several replicas in virtual time, on one store.

mod assignment;
mod budget;
mod backfill;
pub(crate) mod cluster;
mod edits;
mod faults;
mod hangs;
mod notify;
