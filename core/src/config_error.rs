//! Errors in configurations of triggers and launchers.

/// An error in a configuration, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
#[non_exhaustive]
pub struct ConfigError {
    /// A JSON pointer to the invalid field, relative to the configuration: `/of/0/queueName`; empty for the whole.
    pub pointer: String,
    /// The error and the allowed values.
    pub message: String,
}

impl ConfigError {
    /// Makes an error about one field, by its JSON pointer.
    #[must_use]
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }

    /// Makes an error about the configuration as a whole.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self::at("", message)
    }

    /// Prefixes the error's pointer.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer = format!("{prefix}{}", self.pointer);
        self
    }
}
