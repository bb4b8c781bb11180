//! Parsing of metric math, as far as it is needed to put expressions of several jobs into one call.
//!
//! Names of metrics must be unique within a call, so each expression's names get a prefix. Functions that read all
//! metrics of a call, or that search for metrics, get a call of their own.

use std::collections::BTreeSet;

mod series_count;
#[cfg(test)]
mod tests;

/// Functions and statements that read the whole call.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html>
const WHOLE_CALL_FUNCTIONS: [&str; 3] = ["METRICS", "SEARCH", "SELECT"];

/// A metric math expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Expression {
    text: String,
}

/// A piece of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MathToken<'a> {
    /// A possible name of a metric.
    Name(&'a str),
    /// The name of a function.
    Function(&'a str),
    /// Numbers, operators, blanks, quoted texts.
    Other(&'a str),
}

impl<'a> MathToken<'a> {
    fn as_str(&self) -> &'a str {
        match self {
            Self::Name(text) | Self::Function(text) | Self::Other(text) => text,
        }
    }
}

impl Expression {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether it needs a call of its own.
    pub(crate) fn needs_own_call(&self) -> bool {
        tokens(&self.text).iter().any(|token| match token {
            MathToken::Name(name) | MathToken::Function(name) => {
                WHOLE_CALL_FUNCTIONS.contains(&name.to_uppercase().as_str())
            }
            MathToken::Other(_) => false,
        })
    }

    /// Tells whether it is a Metrics Insights query, which needs a period.
    pub(crate) fn is_insights(&self) -> bool {
        let first = self.text.split_whitespace().next().unwrap_or_default();
        first.eq_ignore_ascii_case("SELECT")
    }

    /// Returns the remedy for several time series.
    pub(crate) fn remedy(&self) -> &'static str {
        if self.is_insights() {
            "leave GROUP BY out, or end with ORDER BY … LIMIT 1"
        } else {
            "put SUM(…), MAX(…) around it"
        }
    }

    /// Returns the names that may be metrics: those that begin with a lower-case letter.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        if self.is_insights() {
            return BTreeSet::new();
        }
        let named = tokens(&self.text).into_iter().filter_map(|token| match token {
            MathToken::Name(name) if name.starts_with(|c: char| c.is_ascii_lowercase()) => Some(name),
            MathToken::Name(_) | MathToken::Function(_) | MathToken::Other(_) => None,
        });
        named.filter(|name| !matches!(*name, "and" | "or" | "not")).collect()
    }

    /// Returns the text with a prefix in front of each of these names.
    pub(crate) fn renamed(&self, prefix: &str, ids: &[&str]) -> String {
        let mut text = String::with_capacity(self.text.len() + 16);
        for token in tokens(&self.text) {
            match token {
                MathToken::Name(name) if ids.contains(&name) => {
                    text.push_str(prefix);
                    text.push_str(name);
                }
                MathToken::Name(piece) | MathToken::Function(piece) | MathToken::Other(piece) => {
                    text.push_str(piece)
                }
            }
        }
        text
    }
}

fn tokens(text: &str) -> Vec<MathToken<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word =
            |rest: &str| rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (length, is_word) = match first {
            '"' | '\'' => {
                let inner = &rest[1..];
                (inner.find(first).map_or(rest.len(), |end| end + 2), false)
            }
            // A number includes its exponent: `1e5` names nothing.
            '0'..='9' => (word(rest), false),
            'a'..='z' | 'A'..='Z' | '_' => (word(rest), true),
            other => (other.len_utf8(), false),
        };
        let (piece, after) = rest.split_at(length);
        tokens.push(match (is_word, after.trim_start().starts_with('(')) {
            (false, _) => MathToken::Other(piece),
            (true, true) => MathToken::Function(piece),
            (true, false) => MathToken::Name(piece),
        });
        rest = after;
    }
    tokens
}
