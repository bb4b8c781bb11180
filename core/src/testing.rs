//! Parts for tests: this crate's own, and those of crates that implement one of its traits.

pub mod store_suite;
