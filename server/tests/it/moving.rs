//! Moving what a store holds: dumps, transfers, backups, and the commands for them.

mod backup;
mod commands;
mod dump;
#[cfg(all(feature = "aws", feature = "elasticsearch", feature = "postgres"))]
mod pairs;
mod stock;
mod transfer;
