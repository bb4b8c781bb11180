//! The launcher against a strict fake of ECS, over HTTP.

mod answers;
mod events;
mod help;
mod looks;
mod passing;
mod suite;
mod told;
