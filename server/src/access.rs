//! Access tokens: who may use the API, and for what.
//!
//! All tokens are in one register of the store, so they work with every store and on every replica; only hashes of their secrets are
//! there. `doc/decisions/0020-access-tokens-in-one-register.md` has the reasons.

mod bootstrap;
mod register;
mod scope;
mod token;

pub(crate) use bootstrap::BootstrapFile;
pub use register::TokenRegister;
pub(crate) use register::{TokenError, Verdict};
pub use scope::Scope;
pub(crate) use token::{AccessToken, NewAccessToken, has_labels};

use std::sync::Arc;

/// Resources that can be left open although clients authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenResource {
    /// `/metrics`.
    Metrics,
    /// `/docs`, `/openapi.json` and `/spec`.
    Docs,
}

impl OpenResource {
    /// Every such resource.
    pub const ALL: [Self; 2] = [Self::Metrics, Self::Docs];

    /// Returns the name used in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Docs => "docs",
        }
    }
}

/// How a server authenticates its clients. The default is not at all.
#[derive(Debug, Clone, Default)]
pub struct AccessControl {
    /// The tokens of clients; absent while every client may do everything.
    pub tokens: Option<Arc<TokenRegister>>,
    /// The resources that need no token.
    pub open: Vec<OpenResource>,
}
