//! Several replicas in virtual time, on one store.

mod assignment;
mod cluster;
mod edits;
mod faults;
mod hangs;
