//! `BatchGetItem`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::capacity::Capacity;
use super::failure::{constraint, invalid};
use super::key::Key;
use super::parser::projection;
use super::path::project;
use super::placeholders::{Names, Placeholders};
use super::value::{RawItem, read_item, size_of_item, write_item};
use super::{DynamoDbSettings, DynamoDbState};
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// Maximum number of keys in one call.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const MAX_KEYS: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    request_items: BTreeMap<String, Asked>,
    return_consumed_capacity: Option<String>,
}

/// The request for one table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Asked {
    keys: Vec<RawItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistent_read: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projection_expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression_attribute_names: Option<Names>,
}

/// The bytes returned and the capacity used so far.
#[derive(Default)]
struct Budget {
    told: usize,
    used: BTreeMap<String, f64>,
}

impl DynamoDbState {
    pub(super) fn batch_get(
        &mut self,
        scope: &AwsScope,
        body: &Value,
        now: Timestamp,
        settings: &DynamoDbSettings,
    ) -> Result<Value, Failure> {
        let request: Request = read(body)?;
        let capacity = Capacity::read(request.return_consumed_capacity.as_deref())?;
        if request.request_items.is_empty() {
            let message = "Member must have length greater than or equal to 1";
            return Err(constraint("{}", "requestItems", message));
        }
        if request.request_items.values().map(|asked| asked.keys.len()).sum::<usize>() > MAX_KEYS {
            return Err(invalid("Too many items requested for the BatchGetItem call"));
        }
        let mut budget = Budget::default();
        let (mut found, mut left) = (Map::new(), Map::new());
        for (name, asked) in request.request_items {
            let (items, rest) = self.get_some(scope, &name, &asked, now, settings, &mut budget)?;
            if !rest.is_empty() {
                let rest = Asked { keys: rest, ..asked };
                let rest = serde_json::to_value(rest).expect("what was read as JSON can be written as JSON");
                left.insert(name.clone(), rest);
            }
            found.insert(name, items.into());
        }
        let answer = json!({ "Responses": found, "UnprocessedKeys": left });
        Ok(capacity.add(answer, &budget.used))
    }

    /// Reads items of one table, in any order, and returns the keys beyond the budget.
    fn get_some(
        &mut self,
        scope: &AwsScope,
        name: &str,
        asked: &Asked,
        now: Timestamp,
        settings: &DynamoDbSettings,
        budget: &mut Budget,
    ) -> Result<(Vec<Value>, Vec<RawItem>), Failure> {
        if asked.keys.is_empty() {
            let member = format!("requestItems.{name}.member.keys");
            return Err(constraint("[]", &member, "Member must have length greater than or equal to 1"));
        }
        let table = self.table(scope, name, now, settings)?;
        let mut placeholders = Placeholders::read(
            asked.expression_attribute_names.clone(),
            None,
            &[&asked.projection_expression],
        )?;
        let paths = asked.projection_expression.as_deref();
        let paths = paths.map(|text| projection(text, &mut placeholders)).transpose()?;
        placeholders.close()?;
        let mut keys: BTreeMap<Key, &RawItem> = BTreeMap::new();
        for sent in &asked.keys {
            if keys.insert(table.schema.key(&read_item(sent)?)?, sent).is_some() {
                return Err(invalid("Provided list of item keys contains duplicates"));
            }
        }
        let consistent = asked.consistent_read.unwrap_or(false);
        let (mut items, mut rest) = (Vec::new(), Vec::new());
        for (key, sent) in keys {
            let item = table.read(&key, consistent);
            let size = item.map_or(0, |item| size_of_item(item));
            if budget.told > 0 && budget.told + size > settings.batch_bytes {
                rest.push(sent.clone());
                continue;
            }
            budget.told += size;
            *budget.used.entry(name.to_owned()).or_default() += Capacity::reads(size, consistent);
            items.extend(item.map(|item| match &paths {
                Some(paths) => write_item(&project(item, paths)),
                None => write_item(item),
            }));
        }
        Ok((items, rest))
    }
}
