//! The product on AWS: the real program, over HTTP, against our own strict fake and against emulators that others wrote.
//!
//! [`scenarios`] has the tests that run against each of them. The other modules need the fake: quotas, permissions, faults,
//! task ends, and an account of everything that really started.

mod bucket;
pub(crate) mod cloud;
mod crash;
mod doctor;
mod ends;
mod faults;
mod permissions;
mod quota;
mod reads;
mod scenarios;
mod series;
mod settle;
pub(crate) mod stage;
mod tables;
mod topics;
mod transient_faults;
