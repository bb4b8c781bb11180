//! `/jobs` and `/jobs/{id}`.

pub(super) mod create;
pub(super) mod edit;
pub(super) mod item;
pub(super) mod list;
