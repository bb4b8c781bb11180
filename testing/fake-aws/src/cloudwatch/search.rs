//! The text of `SEARCH`: the metrics that it finds.
//!
//! Terms are joined by AND. `OR`, `NOT` and brackets are not faked.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html>

use std::collections::BTreeSet;

use super::Metric;

/// The conditions that a metric must meet to be found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search {
    /// A namespace, and the names of all dimensions.
    schema: Option<(String, BTreeSet<String>)>,
    terms: Vec<Term>,
}

#[derive(Debug, PartialEq, Eq)]
struct Term {
    /// `MetricName`, `Namespace`, or the name of a dimension; absent = any of them.
    property: Option<String>,
    text: String,
    /// Whether the text is the whole value.
    exact: bool,
}

impl Search {
    /// Reads a text such as `{AWS/SQS,QueueName} MetricName="NumberOfMessagesSent" orders`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (schema, rest) = match text.trim().strip_prefix('{') {
            None => (None, text.trim()),
            Some(inner) => {
                let (schema, rest) = inner.split_once('}').ok_or("the schema is not closed")?;
                let mut names = schema.split(',').map(|name| name.trim().trim_matches('"').to_owned());
                let namespace = names.next().filter(|name| !name.is_empty()).ok_or("the schema is empty")?;
                (Some((namespace, names.collect())), rest.trim())
            }
        };
        let mut terms = Vec::new();
        let mut rest = rest;
        while !rest.is_empty() {
            let (term, after) = Term::parse(rest)?;
            if term != Term::word("AND") {
                terms.push(term);
            }
            rest = after.trim_start();
        }
        if schema.is_none() && terms.is_empty() {
            return Err("a search needs a schema or a term".to_owned());
        }
        Ok(Self { schema, terms })
    }

    /// Tells whether it finds a metric.
    pub(crate) fn finds(&self, metric: &Metric) -> bool {
        let fits = self.schema.as_ref().is_none_or(|(namespace, dimensions)| {
            *namespace == metric.namespace
                && dimensions.iter().eq(metric.dimensions.iter().map(|dimension| &dimension.name))
        });
        fits && self.terms.iter().all(|term| term.fits(metric))
    }
}

impl Term {
    fn word(text: &str) -> Self {
        Self { property: None, text: text.to_owned(), exact: false }
    }

    /// Reads the next term, and returns the rest.
    fn parse(text: &str) -> Result<(Self, &str), String> {
        let (first, exact, rest) = value(text)?;
        if !exact && matches!(first, "OR" | "NOT") {
            return Err(format!("the fake's SEARCH does not know {first}"));
        }
        let Some(rest) = rest.strip_prefix('=') else {
            return Ok((Self { property: None, text: first.to_owned(), exact }, rest));
        };
        let (value, exact, rest) = value(rest)?;
        Ok((Self { property: Some(first.to_owned()), text: value.to_owned(), exact }, rest))
    }

    fn fits(&self, metric: &Metric) -> bool {
        let mut all = vec![("MetricName", &metric.name), ("Namespace", &metric.namespace)];
        all.extend(metric.dimensions.iter().map(|dimension| (dimension.name.as_str(), &dimension.value)));
        all.into_iter().any(|(name, value)| {
            let fits = if self.exact {
                *value == self.text
            } else {
                value.to_lowercase().contains(&self.text.to_lowercase())
            };
            self.property.as_ref().is_none_or(|property| property == name) && fits
        })
    }
}

/// Reads a word, or a text in quotes, which is exact.
fn value(text: &str) -> Result<(&str, bool, &str), String> {
    if let Some(inner) = text.strip_prefix('"') {
        let (value, rest) = inner.split_once('"').ok_or("a quote is not closed")?;
        return Ok((value, true, rest));
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-./:".contains(c)));
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    if word.is_empty() {
        Err(format!("the search has an unexpected \"{text}\""))
    } else {
        Ok((word, false, rest))
    }
}
