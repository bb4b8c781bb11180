//! The launcher against a strict fake of ECS, over HTTP.

mod answers;
mod help;
mod looks;
mod passing;
mod suite;
