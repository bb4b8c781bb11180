//! One write of a transaction: what becomes of an item, and what must hold for it.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use ecs_scheduler_core::{FaultKind, StoreError};

use crate::codec::{Attribute, Item, weight};
use crate::expression::{Clause, Words};
use crate::keys::Key;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Put,
    Update,
    Delete,
    Check,
}

/// See the module. Names of attributes are never written into expressions, so that none can be a reserved word.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    verb: Verb,
    key: Key,
    set: Vec<Attribute>,
    remove: Vec<&'static str>,
    clauses: Vec<Clause>,
}

impl Write {
    fn new(verb: Verb, key: Key) -> Self {
        Self { verb, key, set: Vec::new(), remove: Vec::new(), clauses: Vec::new() }
    }

    /// Writes a whole item.
    pub(crate) fn put(key: Key) -> Self {
        Self::new(Verb::Put, key)
    }

    /// Writes an item that must not exist yet.
    pub(crate) fn create(key: Key) -> Self {
        let attribute = key.attribute();
        Self::put(key).absent(attribute)
    }

    /// Changes some attributes of an item.
    pub(crate) fn update(key: Key) -> Self {
        Self::new(Verb::Update, key)
    }

    /// Removes an item.
    pub(crate) fn delete(key: Key) -> Self {
        Self::new(Verb::Delete, key)
    }

    /// Changes nothing, and checks.
    pub(crate) fn check(key: Key) -> Self {
        Self::new(Verb::Check, key)
    }

    /// Sets an attribute.
    pub(crate) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set.push((name, value));
        self
    }

    /// Sets attributes.
    pub(crate) fn set_all(mut self, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        self.set.extend(attributes);
        self
    }

    /// Removes attributes.
    pub(crate) fn unset(mut self, names: &[&'static str]) -> Self {
        self.remove.extend(names);
        self
    }

    /// Asks that an attribute has this value.
    pub(crate) fn given(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.clauses.push(Clause::Equals(name, value));
        self
    }

    /// Asks that an attribute is absent.
    pub(crate) fn absent(mut self, name: &'static str) -> Self {
        self.clauses.push(Clause::Absent(name));
        self
    }

    /// Asks that an attribute is absent or at most this.
    pub(crate) fn at_most(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.clauses.push(Clause::AtMost(name, value));
        self
    }

    /// Returns the key of the item.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Returns about how many bytes it sends.
    pub(crate) fn weight(&self) -> usize {
        let attributes: usize = self.set.iter().map(|(name, value)| name.len() + weight(value)).sum();
        let clauses: usize = self.clauses.iter().map(Clause::weight).sum();
        attributes + clauses + self.key.hash.len() + self.key.range.len() + 64
    }

    /// Makes what the SDK sends. `table` is the table's real name.
    pub(crate) fn into_item(self, table: &str) -> Result<TransactWriteItem, StoreError> {
        self.build(table).map_err(|error| {
            StoreError::caused(FaultKind::Bug, "could not make a write of a DynamoDB transaction", error)
        })
    }

    fn build(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let mut words = Words::default();
        let condition = words.condition(&self.clauses);
        let change = if self.verb == Verb::Update { words.change(&self.set, &self.remove) } else { None };
        let (names, values) = words.into_parts();
        let key = self.key.attributes();
        let item = TransactWriteItem::builder();
        Ok(match self.verb {
            Verb::Put => {
                let mut attributes: Item =
                    self.set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                attributes.extend(key);
                let put = Put::builder().table_name(table).set_item(Some(attributes));
                let put = put.set_condition_expression(condition).set_expression_attribute_names(names);
                item.put(put.set_expression_attribute_values(values).build()?)
            }
            Verb::Update => {
                let update = Update::builder().table_name(table).set_key(Some(key));
                let update = update.set_update_expression(change).set_condition_expression(condition);
                let update = update.set_expression_attribute_names(names);
                item.update(update.set_expression_attribute_values(values).build()?)
            }
            Verb::Delete => {
                let delete = Delete::builder().table_name(table).set_key(Some(key));
                let delete = delete.set_condition_expression(condition).set_expression_attribute_names(names);
                item.delete(delete.set_expression_attribute_values(values).build()?)
            }
            Verb::Check => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
                let check = check.set_condition_expression(condition).set_expression_attribute_names(names);
                item.condition_check(check.set_expression_attribute_values(values).build()?)
            }
        }
        .build())
    }
}
