//! `/jobs` and `/jobs/{id}`.

pub(super) mod create;
pub(super) mod document;
pub(super) mod edit;
pub(super) mod item;
pub(super) mod list;
