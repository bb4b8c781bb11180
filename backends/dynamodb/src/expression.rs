//! Expressions of DynamoDB. They contain placeholders in place of names and values, so that no name can be a reserved word.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::codec::{Attribute, size};

#[cfg(test)]
mod tests;

/// A condition on an item.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Equals(&'static str, AttributeValue),
    Absent(&'static str),
    Present(&'static str),
    Below(&'static str, AttributeValue),
    StartsWith(&'static str, AttributeValue),
    /// The attribute is absent, or at most this value.
    AtMost(&'static str, AttributeValue),
}

impl Condition {
    /// Estimates how many bytes the condition sends.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Absent(name) | Self::Present(name) => name.len(),
            Self::Equals(name, value)
            | Self::Below(name, value)
            | Self::StartsWith(name, value)
            | Self::AtMost(name, value) => name.len() + size(value),
        }
    }
}

type AttributeNames = HashMap<String, String>;
type AttributeValues = HashMap<String, AttributeValue>;

/// Builds expressions, and collects the names and values that they refer to.
#[derive(Debug, Default)]
pub(crate) struct ExpressionBuilder {
    names: AttributeNames,
    values: AttributeValues,
}

impl ExpressionBuilder {
    /// Builds the expression that all conditions hold; `None` without conditions.
    pub(crate) fn condition(&mut self, conditions: &[Condition]) -> Option<String> {
        let conditions: Vec<String> =
            conditions.iter().map(|condition| self.condition_text(condition)).collect();
        Some(conditions.join(" AND ")).filter(|text| !text.is_empty())
    }

    /// Builds the expression that sets and removes attributes; `None` without any.
    pub(crate) fn update(&mut self, set: &[Attribute], remove: &[&'static str]) -> Option<String> {
        let sets: Vec<String> =
            set.iter().map(|(name, value)| format!("{} = {}", self.name(name), self.value(value))).collect();
        let removes: Vec<String> = remove.iter().map(|name| self.name(name)).collect();
        let mut parts = Vec::new();
        if !sets.is_empty() {
            parts.push(format!("SET {}", sets.join(", ")));
        }
        if !removes.is_empty() {
            parts.push(format!("REMOVE {}", removes.join(", ")));
        }
        Some(parts.join(" ")).filter(|text| !text.is_empty())
    }

    /// Returns the names and the values; `None` in place of an empty map, which DynamoDB refuses.
    pub(crate) fn into_parts(self) -> (Option<AttributeNames>, Option<AttributeValues>) {
        (
            Some(self.names).filter(|names| !names.is_empty()),
            Some(self.values).filter(|values| !values.is_empty()),
        )
    }

    fn condition_text(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Equals(name, value) => format!("{} = {}", self.name(name), self.value(value)),
            Condition::Below(name, value) => format!("{} < {}", self.name(name), self.value(value)),
            Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Present(name) => format!("attribute_exists({})", self.name(name)),
            Condition::StartsWith(name, value) => {
                format!("begins_with({}, {})", self.name(name), self.value(value))
            }
            Condition::AtMost(name, value) => {
                let name = self.name(name);
                format!("(attribute_not_exists({name}) OR {name} <= {})", self.value(value))
            }
        }
    }

    fn name(&mut self, name: &str) -> String {
        let alias = format!("#n{}", self.names.len());
        self.names.insert(alias.clone(), name.to_owned());
        alias
    }

    fn value(&mut self, value: &AttributeValue) -> String {
        let alias = format!(":v{}", self.values.len());
        self.values.insert(alias.clone(), value.clone());
        alias
    }
}
