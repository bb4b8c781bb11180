//! The launcher against a strict fake of ECS, over HTTP.

mod call_counts;
mod events;
mod faults;
mod firing_variables;
mod help;
mod launches;
mod logs;
mod suite;
