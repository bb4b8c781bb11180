//! One write: its effect on an item, and its condition.

use std::sync::Arc;

use serde::Deserialize;

use super::condition::Condition;
use super::condition_parser::condition;
use super::failure::{constraint, invalid_value};
use super::key::{Key, Schema};
use super::placeholders::{Names, Placeholders, Values};
use super::table::Table;
use super::update::{Update, update};
use super::value::{Item, RawItem, read_item, size_of_item};
use crate::wire::Failure;

/// The kind of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    Put,
    Update,
    Delete,
    Check,
}

/// A write as it is sent, alone or in a transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct WriteRequest {
    pub(crate) table_name: String,
    key: Option<RawItem>,
    item: Option<RawItem>,
    update_expression: Option<String>,
    condition_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
    pub(crate) return_values: Option<String>,
    pub(crate) return_consumed_capacity: Option<String>,
    return_values_on_condition_check_failure: Option<String>,
}

/// A write whose expressions are parsed.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    verb: WriteKind,
    pub(crate) key: Key,
    /// The whole item of a put, otherwise its key.
    item: Item,
    pub(crate) update: Update,
    condition: Option<Condition>,
    shows_old: bool,
}

/// The effect of a write.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Nothing,
    Kept(Arc<Item>),
    Removed,
}

/// The cause of a refused write.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// Its condition does not hold; with the found item, if requested.
    Condition(Option<Arc<Item>>),
    Invalid(Failure),
}

fn required<'a, T>(value: &'a Option<T>, member: &str) -> Result<&'a T, Failure> {
    value.as_ref().ok_or_else(|| constraint("null", member, "Member must not be null").unquoted())
}

impl Failure {
    /// Writes a null without quotes.
    fn unquoted(mut self) -> Self {
        self.message = self.message.replace("'null'", "null");
        self
    }
}

impl WriteRequest {
    /// Fails on a member that writes of this kind do not have.
    fn fits(&self, verb: WriteKind) -> Result<(), Failure> {
        for (name, is_there, of) in [
            ("Key", self.key.is_some(), [WriteKind::Update, WriteKind::Delete, WriteKind::Check].as_slice()),
            ("Item", self.item.is_some(), &[WriteKind::Put]),
            ("UpdateExpression", self.update_expression.is_some(), &[WriteKind::Update]),
        ] {
            if is_there && !of.contains(&verb) {
                let message = format!("unknown field `{name}` of a {verb:?}");
                return Err(Failure::client("SerializationException", message));
            }
        }
        Ok(())
    }
}

impl Action {
    /// Reads a write to a table of this schema.
    pub(crate) fn read(verb: WriteKind, sent: WriteRequest, schema: &Schema) -> Result<Self, Failure> {
        sent.fits(verb)?;
        let (item, key) = if verb == WriteKind::Put {
            let item = read_item(required(&sent.item, "item")?)?;
            let key = schema.key_of(&item)?;
            (item, key)
        } else {
            let item = read_item(required(&sent.key, "key")?)?;
            let key = schema.key(&item)?;
            (item, key)
        };
        let shows_old = match sent.return_values_on_condition_check_failure.as_deref() {
            None | Some("NONE") => false,
            Some("ALL_OLD") => true,
            Some(other) => {
                let allowed = "Member must satisfy enum value set: [ALL_OLD, NONE]";
                return Err(constraint(other, "returnValuesOnConditionCheckFailure", allowed));
            }
        };
        let expressions = [&sent.update_expression, &sent.condition_expression];
        let mut placeholders = Placeholders::read(
            sent.expression_attribute_names,
            sent.expression_attribute_values,
            &expressions,
        )?;
        let update = sent.update_expression.map(|text| update(&text, &mut placeholders)).transpose()?;
        let text = sent.condition_expression.as_deref();
        let condition =
            text.map(|text| condition("ConditionExpression", text, &mut placeholders)).transpose()?;
        placeholders.close()?;
        let update = update.unwrap_or_default();
        for path in update.paths() {
            if let Some(name) = schema.names().find(|name| *name == path.head()) {
                return Err(invalid_value(format!(
                    "Cannot update attribute {name}. This attribute is part of the key"
                )));
            }
        }
        if verb == WriteKind::Check && condition.is_none() {
            return Err(constraint("null", "conditionExpression", "Member must not be null").unquoted());
        }
        Ok(Self { verb, key, item, update, condition, shows_old })
    }

    /// Computes its effect on a table.
    pub(crate) fn effect(&self, table: &Table) -> Result<Effect, Refusal> {
        let before = table.get(&self.key);
        let nothing = Item::new();
        let found = before.map_or(&nothing, |before| &**before);
        if self.condition.as_ref().is_some_and(|condition| !condition.holds(found)) {
            return Err(Refusal::Condition(before.filter(|_| self.shows_old).cloned()));
        }
        let (after, too_large) = match self.verb {
            WriteKind::Check => return Ok(Effect::Nothing),
            WriteKind::Delete => return Ok(Effect::Removed),
            WriteKind::Put => (self.item.clone(), "Item size has exceeded the maximum allowed size"),
            WriteKind::Update => {
                let start = before.map_or(&self.item, |before| &**before);
                let after = self.update.apply(start).map_err(Refusal::Invalid)?;
                (after, "Item size to update has exceeded the maximum allowed size")
            }
        };
        table.check(&after, too_large).map_err(Refusal::Invalid)?;
        Ok(Effect::Kept(Arc::new(after)))
    }

    /// Returns how many bytes it sends or reads, for the limits of a transaction.
    pub(crate) fn size(&self, table: &Table) -> usize {
        let found = table.get(&self.key).map_or(0, |item| size_of_item(item));
        size_of_item(&self.item).max(found)
    }
}
