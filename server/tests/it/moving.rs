//! Moving what a store holds: dumps, transfers, backups, and the commands for them.

mod backup;
mod commands;
mod dump;
mod stock;
mod transfer;
