//! Placeholders for names and values in the expressions of one request.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::failure::invalid;
use super::value::Attribute;
use crate::wire::Failure;

/// `ExpressionAttributeNames`, as sent.
pub(crate) type Names = BTreeMap<String, String>;
/// `ExpressionAttributeValues`, as sent.
pub(crate) type Values = BTreeMap<String, Value>;

/// The placeholders of one request, and those that were used.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    names: Names,
    values: BTreeMap<String, Attribute>,
    used: BTreeSet<String>,
}

impl Placeholders {
    /// Reads names and values. They need an expression, and must not be empty.
    pub(crate) fn read(
        names: Option<Names>,
        values: Option<Values>,
        expressions: &[&Option<String>],
    ) -> Result<Self, Failure> {
        let is_needed = expressions.iter().any(|expression| expression.is_some());
        for (what, is_there, is_empty) in [
            ("ExpressionAttributeNames", names.is_some(), names.as_ref().is_some_and(BTreeMap::is_empty)),
            ("ExpressionAttributeValues", values.is_some(), values.as_ref().is_some_and(BTreeMap::is_empty)),
        ] {
            if is_there && !is_needed {
                return Err(invalid(format!("{what} can only be specified when using expressions")));
            }
            if is_empty {
                return Err(invalid(format!("{what} must not be empty")));
            }
        }
        let names = names.unwrap_or_default();
        if let Some(alias) = names.keys().find(|alias| !is_alias(alias, '#')) {
            let message =
                format!("ExpressionAttributeNames contains invalid key: Syntax error; key: \"{alias}\"");
            return Err(invalid(message));
        }
        let mut read = BTreeMap::new();
        for (alias, value) in values.unwrap_or_default() {
            if !is_alias(&alias, ':') {
                let message =
                    format!("ExpressionAttributeValues contains invalid key: Syntax error; key: \"{alias}\"");
                return Err(invalid(message));
            }
            let value = Attribute::read(&value).map_err(|failure| {
                let message =
                    format!("ExpressionAttributeValues contains invalid value: {}", failure.message);
                Failure { message: format!("{message} for key {alias}"), ..failure }
            })?;
            read.insert(alias, value);
        }
        Ok(Self { names, values: read, used: BTreeSet::new() })
    }

    /// Returns the name of a placeholder.
    pub(crate) fn name(&mut self, alias: &str) -> Result<String, String> {
        self.used.insert(alias.to_owned());
        self.names.get(alias).cloned().ok_or_else(|| {
            format!("An expression attribute name used in the document path is not defined; attribute name: {alias}")
        })
    }

    /// Returns the value of a placeholder.
    pub(crate) fn value(&mut self, alias: &str) -> Result<Attribute, String> {
        self.used.insert(alias.to_owned());
        self.values.get(alias).cloned().ok_or_else(|| {
            format!(
                "An expression attribute value used in expression is not defined; attribute value: {alias}"
            )
        })
    }

    /// Fails if no expression uses a placeholder.
    pub(crate) fn close(self) -> Result<(), Failure> {
        let unused = |of: Vec<&String>| -> Vec<String> {
            of.into_iter().filter(|alias| !self.used.contains(*alias)).cloned().collect()
        };
        for (what, left) in [
            ("ExpressionAttributeNames", unused(self.names.keys().collect())),
            ("ExpressionAttributeValues", unused(self.values.keys().collect())),
        ] {
            if !left.is_empty() {
                let message =
                    format!("Value provided in {what} unused in expressions: keys: {{{}}}", left.join(", "));
                return Err(invalid(message));
            }
        }
        Ok(())
    }
}

fn is_alias(alias: &str, sign: char) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    alias.strip_prefix(sign).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_inner))
}
