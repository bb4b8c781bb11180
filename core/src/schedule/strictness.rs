//! How strictly names in expressions are read.

/// Where an expression comes from, which decides how strictly names are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// Written by a client now: names must be spelled out exactly.
    #[default]
    Strict,
    /// Loaded from a store: what the Python version accepted by accident (`lastfri`, `mon-fri/2`) keeps the
    /// meaning that it had there.
    Lenient,
}
