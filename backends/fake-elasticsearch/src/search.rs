//! Searching what was refreshed.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/search-search.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/paginate-search-results.html>

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::index::{Doc, Index};

/// The most hits of one answer: `index.max_result_window`.
const WINDOW: u64 = 10_000;

/// A search that goes on.
#[derive(Debug)]
pub(crate) struct Scroll {
    rest: Vec<Value>,
    size: usize,
}

/// Searches; with `scroll`, what is left of the hits is kept.
pub(crate) fn search(index: &Index, body: &Value, scroll: bool) -> Result<(Value, Option<Scroll>), Answer> {
    let known = ["size", "_source", "track_total_hits", "seq_no_primary_term", "query", "sort"];
    if let Some(strange) =
        body.as_object().into_iter().flatten().find(|(key, _)| !known.contains(&key.as_str()))
    {
        return Err(Answer::refusal(400, "parsing_exception", &format!("Unknown key for [{}]", strange.0)));
    }
    let size = body["size"].as_u64().unwrap_or(10);
    if scroll && size == 0 {
        return Err(unsound("[size] cannot be [0] in a scroll context"));
    }
    if scroll && body["track_total_hits"] == false {
        return Err(unsound("disabling [track_total_hits] is not allowed in a scroll context"));
    }
    if size > WINDOW {
        return Err(Answer::wrong(
            "Result window is too large, from + size must be less than or equal to: [10000]",
        ));
    }
    let numbered = body["seq_no_primary_term"] == true;
    let mut found: Vec<(Vec<Value>, Value)> = Vec::new();
    for (id, doc) in &index.searchable {
        let fields: Value = serde_json::from_str(&doc.source).expect("documents were parsed when they came");
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
    Ok((answer(hits), scroll.then_some(Scroll { rest, size })))
}

impl Scroll {
    /// The next hits; none when there are no more.
    pub(crate) fn next(&mut self) -> Value {
        let rest = self.rest.split_off(self.size.min(self.rest.len()));
        answer(std::mem::replace(&mut self.rest, rest))
    }
}

fn answer(hits: Vec<Value>) -> Value {
    json!({
        "took": 1, "timed_out": false,
        "_shards": { "total": 1, "successful": 1, "skipped": 0, "failed": 0 },
        "hits": { "max_score": null, "hits": hits },
    })
}

fn unsound(what: &str) -> Answer {
    let reason = format!("Validation Failed: 1: {what};");
    Answer::refusal(400, "action_request_validation_exception", &reason)
}

/// Everything, or a range of one keyword field.
fn matches(index: &Index, query: &Value, fields: &Value) -> Result<bool, Answer> {
    let Some(query) = query.as_object() else { return Ok(true) };
    let range = query.get("range").and_then(Value::as_object).and_then(|range| range.iter().next());
    let Some((field, bounds)) = range else {
        return Err(Answer::refusal(400, "parsing_exception", "unknown query"));
    };
    if !index.fields.is_keyword(field) {
        let reason = format!("Field [{field}] does not support range queries");
        return Err(Answer::refusal(400, "search_phase_execution_exception", &reason));
    }
    Ok(fields[field].as_str().zip(bounds["gt"].as_str()).is_some_and(|(value, bound)| value > bound))
}

/// `_doc`, the order of the index, or a keyword field, ascending.
fn sort_values(index: &Index, sort: &Value, doc: &Doc, fields: &Value) -> Result<Vec<Value>, Answer> {
    let by = |by: &Value| {
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
                Err(Answer::refusal(400, "search_phase_execution_exception", &reason))
            }
        }
    };
    sort.as_array().into_iter().flatten().map(by).collect()
}
