//! `Scan`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::DynamoDbSettings;
use super::capacity::Capacity;
use super::condition_parser::condition;
use super::failure::{constraint, invalid};
use super::page::PageRequest;
use super::parser::projection;
use super::placeholders::{Names, Placeholders, Values};
use super::query::{limit, start};
use super::table::Table;
use super::value::RawItem;
use crate::wire::{Failure, read};

/// Maximum number of segments of a scan.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html>
const MAX_SEGMENTS: u32 = 1_000_000;

/// Number of slots for partitions.
const SLOTS: u128 = 1 << 64;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    table_name: String,
    consistent_read: Option<bool>,
    filter_expression: Option<String>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<Names>,
    expression_attribute_values: Option<Values>,
    segment: Option<u32>,
    total_segments: Option<u32>,
    limit: Option<i64>,
    exclusive_start_key: Option<RawItem>,
    return_consumed_capacity: Option<String>,
}

/// Answers a scan.
pub(super) fn scan(table: &Table, body: &Value, settings: &DynamoDbSettings) -> Result<Value, Failure> {
    let request: Request = read(body)?;
    let capacity = Capacity::read(request.return_consumed_capacity.as_deref())?;
    let consistent = request.consistent_read.unwrap_or(false);
    let slots = slots(request.segment, request.total_segments)?;
    let expressions = [&request.filter_expression, &request.projection_expression];
    let mut placeholders = Placeholders::read(
        request.expression_attribute_names,
        request.expression_attribute_values,
        &expressions,
    )?;
    let filter = request.filter_expression.as_deref();
    let filter = filter.map(|text| condition("FilterExpression", text, &mut placeholders)).transpose()?;
    let paths = request.projection_expression.as_deref();
    let paths = paths.map(|text| projection(text, &mut placeholders)).transpose()?;
    placeholders.close()?;
    let start = start(request.exclusive_start_key, &[&table.schema])?;
    let after = start.and_then(|start| table.schema.parts(&start));
    if after.as_ref().is_some_and(|after| !(slots.0..slots.1).contains(&u128::from(after.slot))) {
        let message = "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey \
                       with correct Segment.";
        return Err(invalid(message));
    }
    let wish =
        PageRequest { limit: limit(request.limit)?, bytes: settings.page_bytes, filter, projection: paths };
    let page = wish.gather(table.scan_slots(slots, after, consistent).map(|item| Cow::Borrowed(&**item)));
    let units = Capacity::reads(page.bytes, consistent);
    let names: Vec<&str> = table.schema.names().collect();
    Ok(capacity.add_one(page.answer(&names), &request.table_name, units))
}

/// Returns the slots of a segment, the last one excluded.
fn slots(segment: Option<u32>, of: Option<u32>) -> Result<(u128, u128), Failure> {
    match (segment, of) {
        (None, None) => Ok((0, SLOTS)),
        (Some(segment), Some(of)) => {
            if !(1..=MAX_SEGMENTS).contains(&of) {
                let message = "Member must have value less than or equal to 1000000";
                return Err(constraint(&of.to_string(), "totalSegments", message));
            }
            if segment >= of {
                return Err(invalid(format!(
                    "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: \
                     {segment} is not less than TotalSegments: {of}"
                )));
            }
            let first = |segment: u32| u128::from(segment) * SLOTS / u128::from(of);
            Ok((first(segment), first(segment + 1)))
        }
        (None, Some(_)) => {
            let message = "The Segment parameter is required but was not present in the request when parameter \
                           TotalSegments is present";
            Err(invalid(message))
        }
        (Some(_), None) => {
            let message = "The TotalSegments parameter is required but was not present in the request when Segment \
                           parameter is present";
            Err(invalid(message))
        }
    }
}
