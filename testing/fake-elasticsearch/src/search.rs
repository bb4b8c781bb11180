//! Searches of the refreshed documents.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/search-search.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/paginate-search-results.html>

use serde_json::{Value, json};

use crate::index::{FakeIndex, IndexedDoc};
use crate::response::FakeResponse;

/// The most hits of one response: `index.max_result_window`.
const MAX_RESULT_WINDOW: u64 = 10_000;

/// A scroll with its remaining hits.
#[derive(Debug)]
pub(crate) struct OpenScroll {
    rest: Vec<Value>,
    size: usize,
}

/// Searches; with `scroll`, the remaining hits are kept for the next pages.
pub(crate) fn search(
    index: &FakeIndex,
    body: &Value,
    scroll: bool,
) -> Result<(Value, Option<OpenScroll>), FakeResponse> {
    let known = ["size", "_source", "track_total_hits", "seq_no_primary_term", "query", "sort"];
    if let Some(unknown) =
        body.as_object().into_iter().flatten().find(|(key, _)| !known.contains(&key.as_str()))
    {
        return Err(FakeResponse::error(
            400,
            "parsing_exception",
            &format!("Unknown key for [{}]", unknown.0),
        ));
    }
    let size = body["size"].as_u64().unwrap_or(10);
    if scroll && size == 0 {
        return Err(validation_error("[size] cannot be [0] in a scroll context"));
    }
    if scroll && body["track_total_hits"] == false {
        return Err(validation_error("disabling [track_total_hits] is not allowed in a scroll context"));
    }
    if size > MAX_RESULT_WINDOW {
        return Err(FakeResponse::illegal_argument(
            "Result window is too large, from + size must be less than or equal to: [10000]",
        ));
    }
    let numbered = body["seq_no_primary_term"] == true;
    let mut found: Vec<(Vec<Value>, Value)> = Vec::new();
    for (id, doc) in &index.searchable {
        let fields: Value =
            serde_json::from_str(&doc.source).expect("documents are parsed when they are written");
        if matches(index, &body["query"], &fields)? {
            let sort = sort_values(index, &body["sort"], doc, &fields)?;
            let mut hit = json!({ "_index": index.name, "_id": id, "_score": null, "sort": sort });
            if numbered {
                hit["_seq_no"] = doc.seq_no.into();
                hit["_primary_term"] = doc.primary_term.into();
            }
            if body["_source"] != false {
                hit["_source"] = fields;
            }
            found.push((sort, hit));
        }
    }
    found.sort_by_key(|(sort, _)| {
        sort.iter().map(|value| (value.as_u64(), value.as_str().map(str::to_owned))).collect::<Vec<_>>()
    });
    let mut hits: Vec<Value> = found.into_iter().map(|(_, hit)| hit).collect();
    let size = usize::try_from(size).expect("it is within the window");
    let rest = hits.split_off(size.min(hits.len()));
    Ok((search_response(hits), scroll.then_some(OpenScroll { rest, size })))
}

impl OpenScroll {
    /// Returns the next page; it is empty after the last.
    pub(crate) fn next_page(&mut self) -> Value {
        let rest = self.rest.split_off(self.size.min(self.rest.len()));
        search_response(std::mem::replace(&mut self.rest, rest))
    }
}

fn search_response(hits: Vec<Value>) -> Value {
    json!({
        "took": 1, "timed_out": false,
        "_shards": { "total": 1, "successful": 1, "skipped": 0, "failed": 0 },
        "hits": { "max_score": null, "hits": hits },
    })
}

fn validation_error(what: &str) -> FakeResponse {
    let reason = format!("Validation Failed: 1: {what};");
    FakeResponse::error(400, "action_request_validation_exception", &reason)
}

/// Tells whether a document matches: every document does, or those in a range of one keyword field.
fn matches(index: &FakeIndex, query: &Value, fields: &Value) -> Result<bool, FakeResponse> {
    let Some(query) = query.as_object() else { return Ok(true) };
    let range = query.get("range").and_then(Value::as_object).and_then(|range| range.iter().next());
    let Some((field, bounds)) = range else {
        return Err(FakeResponse::error(400, "parsing_exception", "unknown query"));
    };
    if !index.fields.is_keyword(field) {
        let reason = format!("Field [{field}] does not support range queries");
        return Err(FakeResponse::error(400, "search_phase_execution_exception", &reason));
    }
    Ok(fields[field].as_str().zip(bounds["gt"].as_str()).is_some_and(|(value, bound)| value > bound))
}

/// Returns the sort values of a document: by `_doc`, the order of the index, or by a keyword field, ascending.
fn sort_values(
    index: &FakeIndex,
    sort: &Value,
    doc: &IndexedDoc,
    fields: &Value,
) -> Result<Vec<Value>, FakeResponse> {
    let sort_value = |by: &Value| {
        if by == "_doc" {
            return Ok(doc.seq_no.into());
        }
        let field = by
            .as_object()
            .filter(|by| by.values().all(|order| order == "asc"))
            .and_then(|by| by.keys().next());
        match field {
            Some(field) if index.fields.is_keyword(field) => Ok(fields[field].clone()),
            _ => {
                let reason = format!("No mapping found for [{by}] in order to sort on");
                Err(FakeResponse::error(400, "search_phase_execution_exception", &reason))
            }
        }
    };
    sort.as_array().into_iter().flatten().map(sort_value).collect()
}
