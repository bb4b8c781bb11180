//! How strictly names in expressions are read.

/// The strictness of names in an expression, which depends on its origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// Written by a client now: names must be spelled out exactly.
    #[default]
    Strict,
    /// Loaded from a store: what the Python version accepted by accident (`lastfri`, `mon-fri/2`) keeps the
    /// meaning that it had there.
    Lenient,
}
