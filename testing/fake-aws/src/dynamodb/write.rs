//! `PutItem`, `UpdateItem` and `DeleteItem`.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::action::{Action, Effect, Refusal, WriteKind, WriteRequest};
use super::capacity::Capacity;
use super::failure::constraint;
use super::item_writes::ItemWrites;
use super::path::project;
use super::table::Table;
use super::value::{Item, size_of_item, write_item};
use crate::wire::Failure;

/// The attributes that the answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReturnValues {
    None,
    AllOld,
    UpdatedOld,
    AllNew,
    UpdatedNew,
}

impl ReturnValues {
    fn read(text: Option<&str>, verb: WriteKind) -> Result<Self, Failure> {
        let shown = match text {
            None | Some("NONE") => Self::None,
            Some("ALL_OLD") => Self::AllOld,
            Some("UPDATED_OLD") => Self::UpdatedOld,
            Some("ALL_NEW") => Self::AllNew,
            Some("UPDATED_NEW") => Self::UpdatedNew,
            Some(other) => {
                let all = "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]";
                let message = format!("Member must satisfy enum value set: {all}");
                return Err(constraint(other, "returnValues", &message));
            }
        };
        if verb != WriteKind::Update && !matches!(shown, Self::None | Self::AllOld) {
            return Err(super::failure::invalid("Return values set to invalid value"));
        }
        Ok(shown)
    }
}

/// Performs one write, and counts it.
pub(crate) fn write(
    table: &mut Table,
    writes: &mut ItemWrites,
    verb: WriteKind,
    sent: WriteRequest,
    now: Timestamp,
) -> Result<Value, Failure> {
    let shown = ReturnValues::read(sent.return_values.as_deref(), verb)?;
    let capacity = Capacity::read(sent.return_consumed_capacity.as_deref())?;
    let name = sent.table_name.clone();
    let action = Action::read(verb, sent, &table.schema)?;
    let before = table.get(&action.key).cloned();
    let effect = match action.effect(table) {
        Ok(effect) => effect,
        Err(Refusal::Invalid(failure)) => return Err(failure),
        Err(Refusal::Condition(found)) => return Err(condition_failed(found)),
    };
    writes.add(before.as_ref(), &effect, 1);
    let after = match effect {
        Effect::Kept(after) => Some(after),
        Effect::Removed | Effect::Nothing => None,
    };
    table.write(action.key, after.clone(), now);
    let size = |item: &Option<Arc<Item>>| item.as_ref().map_or(0, |item| size_of_item(item));
    let units = Capacity::writes(size(&before).max(size(&after)));
    let (old, new) = (before.as_deref(), after.as_deref());
    let paths = action.update.paths();
    let attributes = match shown {
        ReturnValues::None => None,
        ReturnValues::AllOld => old.cloned(),
        ReturnValues::AllNew => new.cloned(),
        ReturnValues::UpdatedOld => old.map(|old| project(old, &paths)),
        ReturnValues::UpdatedNew => new.map(|new| project(new, &paths)),
    };
    let mut answer = json!({});
    if let Some(attributes) = attributes.filter(|attributes| !attributes.is_empty()) {
        answer["Attributes"] = write_item(&attributes);
    }
    Ok(capacity.add_one(answer, &name, units))
}

/// Makes the failure of a condition that does not hold.
fn condition_failed(found: Option<Arc<Item>>) -> Failure {
    let failure = Failure::client("ConditionalCheckFailedException", "The conditional request failed");
    match found {
        Some(item) => failure.with("Item", write_item(&item)),
        None => failure,
    }
}
