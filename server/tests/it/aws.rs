//! The product on AWS: the real program, over HTTP, against our own strict fake and against emulators that others wrote.
//!
//! What all of them can do is in [`scenarios`], and runs against each. What only the fake can do is in the others: quotas,
//! permissions, misfortunes, tasks that end, and an account of everything that really started.

mod bucket;
pub(crate) mod cloud;
mod crash;
mod doctor;
mod emulator;
mod ends;
mod faults;
mod permissions;
mod quota;
mod reads;
mod scenarios;
mod series;
pub(crate) mod stage;
mod tables;
mod transient_faults;
