//! Expressions. Names of attributes and values are never written into them, so that no name can be a reserved word.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::codec::{Attribute, weight};

#[cfg(test)]
mod tests;

/// Something that must hold of an item.
#[derive(Debug, Clone)]
pub(crate) enum Clause {
    Equals(&'static str, AttributeValue),
    Absent(&'static str),
    Present(&'static str),
    Below(&'static str, AttributeValue),
    StartsWith(&'static str, AttributeValue),
    /// It is absent, or at most this.
    AtMost(&'static str, AttributeValue),
}

impl Clause {
    /// Returns about how many bytes it sends.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Absent(name) | Self::Present(name) => name.len(),
            Self::Equals(name, value)
            | Self::Below(name, value)
            | Self::StartsWith(name, value)
            | Self::AtMost(name, value) => name.len() + weight(value),
        }
    }
}

type Names = HashMap<String, String>;
type Values = HashMap<String, AttributeValue>;

/// The names and values that expressions refer to.
#[derive(Debug, Default)]
pub(crate) struct Words {
    names: Names,
    values: Values,
}

impl Words {
    /// Writes that all of this must hold; nothing when it is empty.
    pub(crate) fn condition(&mut self, clauses: &[Clause]) -> Option<String> {
        let clauses: Vec<String> = clauses.iter().map(|clause| self.clause(clause)).collect();
        Some(clauses.join(" AND ")).filter(|text| !text.is_empty())
    }

    /// Writes what becomes of attributes.
    pub(crate) fn change(&mut self, set: &[Attribute], remove: &[&'static str]) -> Option<String> {
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

    /// Returns the names and the values; none where there are none, since DynamoDB takes no empty map.
    pub(crate) fn into_parts(self) -> (Option<Names>, Option<Values>) {
        (
            Some(self.names).filter(|names| !names.is_empty()),
            Some(self.values).filter(|values| !values.is_empty()),
        )
    }

    fn clause(&mut self, clause: &Clause) -> String {
        match clause {
            Clause::Equals(name, value) => format!("{} = {}", self.name(name), self.value(value)),
            Clause::Below(name, value) => format!("{} < {}", self.name(name), self.value(value)),
            Clause::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            Clause::Present(name) => format!("attribute_exists({})", self.name(name)),
            Clause::StartsWith(name, value) => {
                format!("begins_with({}, {})", self.name(name), self.value(value))
            }
            Clause::AtMost(name, value) => {
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
