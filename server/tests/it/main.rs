//! The server's integration tests, in one binary: linking is what they cost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod api;
mod api_backfill;
mod api_bulk;
mod api_dry_run;
mod api_faults;
mod api_history;
mod api_limits;
mod api_openapi;
mod api_origin;
mod api_resilience;
mod api_search;
#[cfg(feature = "aws")]
mod aws;
mod bad_input;
mod budgets;
mod cli;
mod complaints;
mod conformance;
mod connections;
mod crash;
#[cfg(feature = "elasticsearch")]
mod elasticsearch;
mod formats;
mod harness;
mod local;
mod logs;
mod notify;
mod replicas;
mod transfer;
mod upgrade;
