//! Names of indices.

use std::fmt;

#[cfg(test)]
mod tests;

/// The suffix that turns the name of the index of jobs into that of the journal.
const JOURNAL_SUFFIX: &str = "-journal";
/// The longest name of an index, in bytes.
///
/// # Source
///
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/indices-create-index.html#indices-create-api-path-params>
const MAX_NAME_LENGTH: usize = 255;
/// The length of the suffix of a created index behind an alias: `-20270301-090000`.
const TIMESTAMP_SUFFIX_LENGTH: usize = 16;

/// The name of the index of jobs: an index, or an alias of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexName(String);

/// The error of a name that no index can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" cannot name an index: {reason}")]
pub struct InvalidIndexName {
    name: String,
    reason: &'static str,
}

impl IndexName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// Fails when the name is empty, is too long for the journal's name, has an upper-case letter, begins with `-`, `_`
    /// or `+`, or has one of the characters that Elasticsearch forbids.
    pub fn new(name: &str) -> Result<Self, InvalidIndexName> {
        let invalid = |reason| Err(InvalidIndexName { name: name.to_owned(), reason });
        if name.is_empty() || name == "." || name == ".." {
            return invalid("it must be a word");
        }
        if name.len() + JOURNAL_SUFFIX.len() + TIMESTAMP_SUFFIX_LENGTH > MAX_NAME_LENGTH {
            return invalid("it is longer than 231 bytes");
        }
        if name.starts_with(['-', '_', '+']) {
            return invalid("it must not begin with \"-\", \"_\" or \"+\"");
        }
        if name.chars().any(char::is_uppercase) {
            return invalid("it must be lower case");
        }
        if name.contains(|c: char| c.is_whitespace() || c.is_control() || "\\/*?\"<>|,#:".contains(c)) {
            return invalid("it must have no blank and none of \\ / * ? \" < > | , # :");
        }
        Ok(Self(name.to_owned()))
    }

    /// Returns the name of the jobs.
    #[must_use]
    pub fn jobs(&self) -> &str {
        &self.0
    }

    /// Returns the name of the journal.
    #[must_use]
    pub fn journal(&self) -> String {
        format!("{}{JOURNAL_SUFFIX}", self.0)
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
