//! The local launcher with real processes.

mod bench;
mod life;
mod suite;
