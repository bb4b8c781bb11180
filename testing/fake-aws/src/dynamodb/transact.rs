//! `TransactWriteItems`: all or nothing, and once for each token.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::action::{Action, Effect, Refusal, WriteKind, WriteRequest};
use super::capacity::Capacity;
use super::failure::{constraint, invalid};
use super::value::write_item;
use super::{DynamoDbSettings, DynamoDbState};
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// Maximum number of actions in one transaction, and of bytes in all their items.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const MAX_ACTIONS: usize = 100;
const MAX_BYTES: usize = 4 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    transact_items: Vec<Member>,
    client_request_token: Option<String>,
    return_consumed_capacity: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Member {
    put: Option<WriteRequest>,
    update: Option<WriteRequest>,
    delete: Option<WriteRequest>,
    condition_check: Option<WriteRequest>,
}

impl Member {
    fn written(self) -> Result<(WriteKind, WriteRequest), Failure> {
        let verbs = [
            (WriteKind::Put, self.put),
            (WriteKind::Update, self.update),
            (WriteKind::Delete, self.delete),
            (WriteKind::Check, self.condition_check),
        ];
        let mut given = verbs.into_iter().filter_map(|(verb, written)| Some((verb, written?)));
        match (given.next(), given.next()) {
            (Some(only), None)
                if only.1.return_values.is_none() && only.1.return_consumed_capacity.is_none() =>
            {
                Ok(only)
            }
            (Some(_), None) => {
                let message =
                    "unknown field `ReturnValues` or `ReturnConsumedCapacity` of a member of a transaction";
                Err(Failure::client("SerializationException", message))
            }
            _ => Err(invalid("TransactItems can only contain one of Check, Put, Update or Delete")),
        }
    }
}

/// Makes the failure of a transaction with these reasons, one for each member.
pub(crate) fn canceled(reasons: &[Value]) -> Failure {
    let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["Code"].as_str()).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    Failure::client("TransactionCanceledException", message).with("CancellationReasons", reasons.into())
}

impl DynamoDbState {
    pub(super) fn transact(
        &mut self,
        scope: &AwsScope,
        body: &Value,
        now: Timestamp,
        settings: &DynamoDbSettings,
    ) -> Result<Value, Failure> {
        let request: Request = read(body)?;
        let count = request.transact_items.len();
        if !(1..=MAX_ACTIONS).contains(&count) {
            let bound = if count == 0 { "greater than or equal to 1" } else { "less than or equal to 100" };
            return Err(constraint("[]", "transactItems", &format!("Member must have length {bound}")));
        }
        let capacity = Capacity::read(request.return_consumed_capacity.as_deref())?;
        let token = request.client_request_token;
        if let Some(token) = token.as_deref() {
            if !(1..=36).contains(&token.len()) {
                let message = "Member must have length less than or equal to 36";
                return Err(constraint(token, "clientRequestToken", message));
            }
            if self.tokens.is_done(scope, token, body, now)? {
                return Ok(capacity.add(json!({}), &BTreeMap::new()));
            }
        }
        let mut actions = Vec::with_capacity(count);
        for member in request.transact_items {
            let (verb, written) = member.written()?;
            let name = written.table_name.clone();
            let table = self.table(scope, &name, now, settings)?;
            actions.push((name, Action::read(verb, written, &table.schema)?));
        }
        self.bounded(scope, &actions)?;
        let effects = self.effects(scope, &actions)?;
        let mut used: BTreeMap<String, f64> = BTreeMap::new();
        for ((name, action), effect) in actions.into_iter().zip(effects) {
            let Some(open) = self.tables.get_mut(&(scope.clone(), name.clone())) else { continue };
            *used.entry(name).or_default() += 2.0 * Capacity::writes(action.size(&open.table));
            self.item_writes.add(open.table.get(&action.key), &effect, 2);
            match effect {
                Effect::Nothing => {}
                Effect::Kept(item) => open.table.write(action.key, Some(item), now),
                Effect::Removed => open.table.write(action.key, None, now),
            }
        }
        if let Some(token) = token {
            self.tokens.remember(scope, token, body, now);
        }
        Ok(capacity.add(json!({}), &used))
    }

    /// Fails if two actions write one item, or if all of them are too large together.
    fn bounded(&self, scope: &AwsScope, actions: &[(String, Action)]) -> Result<(), Failure> {
        let mut keys = BTreeSet::new();
        let mut bytes = 0;
        for (name, action) in actions {
            if !keys.insert((name, &action.key)) {
                return Err(invalid("Transaction request cannot include multiple operations on one item"));
            }
            bytes +=
                self.tables.get(&(scope.clone(), name.clone())).map_or(0, |open| action.size(&open.table));
        }
        if bytes > MAX_BYTES {
            return Err(invalid("Collection of items in the transaction exceeds the maximum of 4 MB"));
        }
        Ok(())
    }

    /// Computes the effect of every action. Fails if one of them is refused.
    fn effects(&self, scope: &AwsScope, actions: &[(String, Action)]) -> Result<Vec<Effect>, Failure> {
        let mut effects = Vec::with_capacity(actions.len());
        let mut reasons = Vec::with_capacity(actions.len());
        for (name, action) in actions {
            let Some(open) = self.tables.get(&(scope.clone(), name.clone())) else { continue };
            let reason = match action.effect(&open.table) {
                Ok(effect) => {
                    effects.push(effect);
                    json!({ "Code": "None" })
                }
                Err(Refusal::Invalid(failure)) => {
                    json!({ "Code": "ValidationError", "Message": failure.message })
                }
                Err(Refusal::Condition(found)) => {
                    let mut reason = json!({ "Code": "ConditionalCheckFailed", "Message": "The conditional request failed" });
                    if let Some(item) = found {
                        reason["Item"] = write_item(&item);
                    }
                    reason
                }
            };
            reasons.push(reason);
        }
        if effects.len() < actions.len() { Err(canceled(&reasons)) } else { Ok(effects) }
    }
}
