//! Pages of an answer.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::settings::DataStatus;
use crate::wire::Failure;

/// One time series of a query.
#[derive(Clone)]
pub(crate) struct QuerySeries {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) status: DataStatus,
    pub(crate) points: Vec<(i64, f64)>,
}

/// Builds the page of an answer that a token names. Points are counted over all queries.
pub(crate) fn page(
    found: Vec<QuerySeries>,
    size: usize,
    token: Option<&str>,
    query: u64,
) -> Result<Value, Failure> {
    let number = |text: &str, radix| u64::from_str_radix(text, radix).ok();
    let from = match token {
        None => 0,
        Some(token) => {
            let offset = token.split_once('.').filter(|(_, of)| number(of, 16) == Some(query));
            let offset = offset.and_then(|(offset, _)| offset.parse::<usize>().ok());
            offset.ok_or_else(|| {
                Failure::client("InvalidNextToken", "The next token is invalid.").queried("InvalidNextToken")
            })?
        }
    };
    let total: usize = found.iter().map(|one| one.points.len()).sum();
    let (to, mut before, mut results) = (from + size, 0, Vec::new());
    for one in found {
        let (begin, end) = (before, before + one.points.len());
        before = end;
        let on_page = begin.max(from)..end.min(to);
        if on_page.is_empty() && !(begin == end && from == 0) {
            continue;
        }
        let points = one.points.get(on_page.start.saturating_sub(begin)..on_page.end.saturating_sub(begin));
        let points = points.unwrap_or_default();
        let status = if end > to { DataStatus::PartialData } else { one.status };
        results.push(json!({
            "Id": one.id,
            "Label": one.label,
            "StatusCode": status.name(),
            "Timestamps": points.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            "Values": points.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
        }));
    }
    let mut answer = json!({ "MetricDataResults": results });
    if to < total {
        answer["NextToken"] = json!(format!("{to}.{query:x}"));
    }
    Ok(answer)
}

pub(crate) fn fingerprint(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        if name != "NextToken" {
            (name, value.to_string()).hash(&mut hasher);
        }
    }
    hasher.finish()
}
