//! More than one replica: what they say over HTTP, and what becomes of the jobs when real processes fall.

#[cfg(all(feature = "aws", feature = "postgres"))]
mod account;
mod api;
#[cfg(all(feature = "aws", feature = "postgres"))]
mod edits;
#[cfg(all(feature = "aws", feature = "postgres"))]
mod faults;
#[cfg(all(feature = "aws", feature = "postgres"))]
pub(crate) mod fleet;
#[cfg(all(feature = "aws", feature = "postgres"))]
mod followed;
#[cfg(all(feature = "aws", feature = "postgres"))]
#[path = "../../../backends/postgres/tests/it/server.rs"]
pub(crate) mod postgres;
