//! `Query`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::DynamoDbSettings;
use super::capacity::Capacity;
use super::condition_parser::condition;
use super::failure::{constraint, invalid, invalid_value};
use super::key::{Key, Schema};
use super::key_range::KeyCondition;
use super::page::{Page, PageRequest};
use super::parser::projection;
use super::placeholders::{Names, Placeholders, Values};
use super::table::{Index, Projection, Table};
use super::value::{Item, RawItem, read_item};
use crate::wire::{Failure, read};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    table_name: String,
    index_name: Option<String>,
    consistent_read: Option<bool>,
    key_condition_expression: Option<String>,
    filter_expression: Option<String>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
    scan_index_forward: Option<bool>,
    limit: Option<i64>,
    exclusive_start_key: Option<RawItem>,
    return_consumed_capacity: Option<String>,
}

/// Reads `Limit`.
pub(super) fn limit(limit: Option<i64>) -> Result<Option<usize>, Failure> {
    let Some(limit) = limit else { return Ok(None) };
    match usize::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(Some(limit)),
        _ => {
            let message = "Member must have value greater than or equal to 1";
            Err(constraint(&limit.to_string(), "limit", message))
        }
    }
}

/// Reads the start of a page: a key without other attributes.
pub(super) fn start(sent: Option<RawItem>, schemas: &[&Schema]) -> Result<Option<Item>, Failure> {
    let Some(sent) = sent else { return Ok(None) };
    let refused = || invalid("The provided starting key is invalid");
    let item = read_item(&sent)?;
    let is_key = |name: &String| schemas.iter().any(|schema| schema.names().any(|key| key == name));
    let is_whole = schemas.iter().all(|schema| schema.parts(&item).is_some());
    if is_whole && item.keys().all(is_key) { Ok(Some(item)) } else { Err(refused()) }
}

/// Answers a query.
pub(super) fn query(table: &Table, body: &Value, settings: &DynamoDbSettings) -> Result<Value, Failure> {
    let request: Request = read(body)?;
    let capacity = Capacity::read(request.return_consumed_capacity.as_deref())?;
    let consistent = request.consistent_read.unwrap_or(false);
    let index = request.index_name.as_deref().map(|name| index(table, name)).transpose()?;
    if consistent && index.is_some() {
        return Err(invalid("Consistent reads are not supported on global secondary indexes"));
    }
    let schema = index.map_or(&table.schema, |index| &index.schema);
    let Some(keys) = request.key_condition_expression.as_ref() else {
        let message =
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.";
        return Err(invalid(message));
    };
    let expressions =
        [&request.key_condition_expression, &request.filter_expression, &request.projection_expression];
    let mut placeholders = Placeholders::read(
        request.expression_attribute_names,
        request.expression_attribute_values,
        &expressions,
    )?;
    let keys = condition("KeyConditionExpression", keys, &mut placeholders)?;
    let keys = KeyCondition::from_condition(keys, schema, request.scan_index_forward.unwrap_or(true))?;
    let filter = request.filter_expression.as_deref();
    let filter = filter.map(|text| condition("FilterExpression", text, &mut placeholders)).transpose()?;
    let paths = request.projection_expression.as_deref();
    let paths = paths.map(|text| projection(text, &mut placeholders)).transpose()?;
    placeholders.close()?;
    let wish =
        PageRequest { limit: limit(request.limit)?, bytes: settings.page_bytes, filter, projection: paths };
    wish.refuse_keys(schema)?;
    let page = match index {
        Some(index) => {
            wish.projected(index, &table.schema)?;
            let start = start(request.exclusive_start_key, &[schema, &table.schema])?;
            page_of_index(table, index, &keys, &wish, start)?
        }
        None => {
            let start = start(request.exclusive_start_key, &[schema])?;
            let after = start.and_then(|start| schema.parts(&start));
            inside(&keys, after.as_ref())?;
            let items = table.scan_range(&keys.bounds, after, consistent).map(|item| &**item);
            wish.gather(of_prefix(&keys, items).map(Cow::Borrowed))
        }
    };
    let units = Capacity::reads(page.bytes, consistent);
    let mut names: Vec<&str> = table.schema.names().collect();
    names.extend(index.iter().flat_map(|index| index.schema.names()));
    Ok(capacity.add_one(page.answer(&names), &request.table_name, units))
}

fn index<'a>(table: &'a Table, name: &str) -> Result<&'a Index, Failure> {
    let found = table.indexes.iter().find(|index| index.name == name);
    found.ok_or_else(|| invalid(format!("The table does not have the specified index: {name}")))
}

fn page_of_index(
    table: &Table,
    index: &Index,
    keys: &KeyCondition,
    wish: &PageRequest,
    start: Option<Item>,
) -> Result<Page, Failure> {
    let after = start.and_then(|start| Some((index.schema.parts(&start)?, table.schema.parts(&start)?)));
    inside(keys, after.as_ref().map(|(own, _)| own))?;
    let items = table.scan_index(index, &keys.bounds, after).map(|item| &**item);
    Ok(wish.gather(of_prefix(keys, items).map(|item| Cow::Owned(index.shows(item, &table.schema)))))
}

/// Skips items before the prefix. Items with the prefix are adjacent.
fn of_prefix<'a>(
    keys: &KeyCondition,
    items: impl Iterator<Item = &'a Item>,
) -> impl Iterator<Item = &'a Item> {
    items.skip_while(|item| !keys.fits(item)).take_while(|item| keys.fits(item))
}

/// Fails if a page begins outside the requested range.
fn inside(keys: &KeyCondition, after: Option<&Key>) -> Result<(), Failure> {
    use std::ops::RangeBounds as _;

    let Some(after) = after else { return Ok(()) };
    let range = (keys.bounds.from.clone(), keys.bounds.to.clone());
    if after.hash == keys.bounds.hash && range.contains(&after.range) {
        return Ok(());
    }
    Err(invalid("The provided starting key is outside query boundaries based on provided conditions"))
}

impl PageRequest {
    /// Fails if the filter reads the key, which belongs to the key condition.
    fn refuse_keys(&self, schema: &Schema) -> Result<(), Failure> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let mut heads = Vec::new();
        filter.heads(&mut heads);
        match schema.names().find(|name| heads.contains(name)) {
            None => Ok(()),
            Some(name) => Err(invalid(format!(
                "Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            ))),
        }
    }

    /// Fails if a projection needs attributes that the index does not hold.
    fn projected(&self, index: &Index, table: &Schema) -> Result<(), Failure> {
        let more: &[String] = match &index.projection {
            Projection::All => return Ok(()),
            Projection::KeysOnly => &[],
            Projection::Include(names) => names,
        };
        let holds = |name: &str| {
            index
                .schema
                .names()
                .chain(table.names())
                .chain(more.iter().map(String::as_str))
                .any(|has| has == name)
        };
        let paths = self.projection.iter().flatten();
        let lacking: Vec<&str> = paths.map(super::path::Path::head).filter(|name| !holds(name)).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let (name, lacking) = (&index.name, lacking.join(", "));
        Err(invalid_value(format!("Global secondary index {name} does not project [{lacking}]")))
    }
}
