//! Pages of lists, by `maxResults` and `nextToken`.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::wire::Failure;

/// Maximum and default number of items on a page.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html>
const MAX_PAGE_SIZE: usize = 100;

/// One page of a list whose items have rising numbers.
#[derive(Debug)]
pub(crate) struct Page {
    /// Items up to this number were on earlier pages.
    pub(crate) after: u64,
    size: usize,
    /// Hash of the rest of the request: a token belongs to its list.
    query: u64,
}

impl Page {
    /// Reads the page that a request names.
    pub(crate) fn from_request(
        size: Option<usize>,
        token: Option<&str>,
        body: &Value,
    ) -> Result<Self, Failure> {
        let size = size.unwrap_or(MAX_PAGE_SIZE);
        if !(1..=MAX_PAGE_SIZE).contains(&size) {
            return Err(Failure::parameter("maxResults should be between 1 and 100."));
        }
        let query = fingerprint(body);
        let Some(token) = token else { return Ok(Self { after: 0, size, query }) };
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let after = token
            .split_once('.')
            .filter(|(_, of)| number(of) == Some(query))
            .and_then(|(after, _)| number(after));
        let after = after.ok_or_else(|| Failure::parameter("Invalid token."))?;
        Ok(Self { after, size, query })
    }

    /// Builds the answer from the items after [`Page::after`].
    pub(crate) fn answer(&self, name: &str, items: impl Iterator<Item = (u64, String)>) -> Value {
        let mut items = items.peekable();
        let (mut shown, mut last) = (Vec::new(), self.after);
        while shown.len() < self.size {
            let Some((number, item)) = items.next() else { break };
            shown.push(item);
            last = number;
        }
        let mut answer = json!({ name: shown });
        if items.peek().is_some() {
            answer["nextToken"] = json!(format!("{last:x}.{:x}", self.query));
        }
        answer
    }
}

fn fingerprint(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        if name != "nextToken" && name != "maxResults" && !value.is_null() {
            (name, value.to_string()).hash(&mut hasher);
        }
    }
    hasher.finish()
}
