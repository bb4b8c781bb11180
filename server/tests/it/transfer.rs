//! Moving what a store holds: dumps, transfers, backups, and the commands for them.

mod backup;
mod commands;
mod copy;
mod dump;
mod fixtures;
#[cfg(all(feature = "aws", feature = "elasticsearch", feature = "postgres"))]
mod pairs;
