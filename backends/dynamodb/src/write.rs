//! The writes of a transaction: each changes one item under conditions.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use ecs_scheduler_core::{FaultKind, StoreError};

use crate::codec::{Attribute, Attributes, size};
use crate::expression::{Condition, ExpressionBuilder};
use crate::keys::ItemKey;

/// The kind of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteKind {
    Put,
    Update,
    Delete,
    Check,
}

/// One write of a transaction, with its conditions.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    kind: WriteKind,
    key: ItemKey,
    set: Vec<Attribute>,
    remove: Vec<&'static str>,
    conditions: Vec<Condition>,
}

impl Write {
    fn new(kind: WriteKind, key: ItemKey) -> Self {
        Self { kind, key, set: Vec::new(), remove: Vec::new(), conditions: Vec::new() }
    }

    /// Replaces an item.
    pub(crate) fn put(key: ItemKey) -> Self {
        Self::new(WriteKind::Put, key)
    }

    /// Creates an item that must not exist.
    pub(crate) fn create(key: ItemKey) -> Self {
        let hash_attribute = key.hash_attribute();
        Self::put(key).if_absent(hash_attribute)
    }

    /// Changes some attributes of an item.
    pub(crate) fn update(key: ItemKey) -> Self {
        Self::new(WriteKind::Update, key)
    }

    /// Removes an item.
    pub(crate) fn delete(key: ItemKey) -> Self {
        Self::new(WriteKind::Delete, key)
    }

    /// Checks conditions without a change.
    pub(crate) fn check(key: ItemKey) -> Self {
        Self::new(WriteKind::Check, key)
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
    pub(crate) fn remove_attributes(mut self, names: &[&'static str]) -> Self {
        self.remove.extend(names);
        self
    }

    /// Adds the condition that an attribute has this value.
    pub(crate) fn if_equals(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.conditions.push(Condition::Equals(name, value));
        self
    }

    /// Adds the condition that an attribute is absent.
    pub(crate) fn if_absent(mut self, name: &'static str) -> Self {
        self.conditions.push(Condition::Absent(name));
        self
    }

    /// Adds the condition that an attribute is absent or at most this value.
    pub(crate) fn if_at_most(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.conditions.push(Condition::AtMost(name, value));
        self
    }

    /// Returns the key of the item.
    pub(crate) fn key(&self) -> &ItemKey {
        &self.key
    }

    /// Estimates how many bytes the write sends.
    pub(crate) fn size(&self) -> usize {
        let attributes: usize = self.set.iter().map(|(name, value)| name.len() + size(value)).sum();
        let conditions: usize = self.conditions.iter().map(Condition::size).sum();
        attributes + conditions + self.key.hash.len() + self.key.range.len() + 64
    }

    /// Converts the write for the SDK. `table` is the real name of the table.
    pub(crate) fn into_item(self, table: &str) -> Result<TransactWriteItem, StoreError> {
        self.build(table).map_err(|error| {
            StoreError::with_source(
                FaultKind::Bug,
                "could not build a write of a DynamoDB transaction",
                error,
            )
        })
    }

    fn build(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let mut builder = ExpressionBuilder::default();
        let condition = builder.condition(&self.conditions);
        let update_expression =
            if self.kind == WriteKind::Update { builder.update(&self.set, &self.remove) } else { None };
        let (names, values) = builder.into_parts();
        let key = self.key.attributes();
        let item = TransactWriteItem::builder();
        Ok(match self.kind {
            WriteKind::Put => {
                let mut attributes: Attributes =
                    self.set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                attributes.extend(key);
                let put = Put::builder().table_name(table).set_item(Some(attributes));
                let put = put.set_condition_expression(condition).set_expression_attribute_names(names);
                item.put(put.set_expression_attribute_values(values).build()?)
            }
            WriteKind::Update => {
                let update = Update::builder().table_name(table).set_key(Some(key));
                let update =
                    update.set_update_expression(update_expression).set_condition_expression(condition);
                let update = update.set_expression_attribute_names(names);
                item.update(update.set_expression_attribute_values(values).build()?)
            }
            WriteKind::Delete => {
                let delete = Delete::builder().table_name(table).set_key(Some(key));
                let delete = delete.set_condition_expression(condition).set_expression_attribute_names(names);
                item.delete(delete.set_expression_attribute_values(values).build()?)
            }
            WriteKind::Check => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
                let check = check.set_condition_expression(condition).set_expression_attribute_names(names);
                item.condition_check(check.set_expression_attribute_values(values).build()?)
            }
        }
        .build())
    }
}
