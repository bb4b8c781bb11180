//! Several replicas in virtual time, on one store.

mod edits;
mod faults;
mod shares;
mod yard;
