//! A page of items, up to the limits.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::condition::Condition;
use super::path::{Path, project};
use super::value::{Item, size_of_item, write_item};

/// The limits of a page, and its projection.
#[derive(Debug)]
pub(crate) struct PageRequest {
    pub(crate) limit: Option<usize>,
    pub(crate) bytes: usize,
    pub(crate) filter: Option<Condition>,
    pub(crate) projection: Option<Vec<Path>>,
}

/// A page of items and its end.
#[derive(Debug, Default)]
pub(crate) struct Page {
    items: Vec<Value>,
    looked_at: usize,
    pub(crate) bytes: usize,
    last: Option<Item>,
}

impl PageRequest {
    /// Collects items until a limit is reached. Items that the filter drops count.
    pub(crate) fn gather<'a>(&self, mut items: impl Iterator<Item = Cow<'a, Item>>) -> Page {
        let mut page = Page::default();
        let mut last: Option<Cow<'a, Item>> = None;
        loop {
            // DynamoDB does this without checking whether there is another item.
            if self.limit.is_some_and(|limit| page.looked_at == limit) {
                page.last = last.map(Cow::into_owned);
                return page;
            }
            let Some(item) = items.next() else { return page };
            let size = size_of_item(&item);
            if page.looked_at > 0 && page.bytes + size > self.bytes {
                page.last = last.map(Cow::into_owned);
                return page;
            }
            page.looked_at += 1;
            page.bytes += size;
            if self.filter.as_ref().is_none_or(|filter| filter.holds(&item)) {
                page.items.push(match &self.projection {
                    Some(paths) => write_item(&project(&item, paths)),
                    None => write_item(&item),
                });
            }
            last = Some(item);
        }
    }
}

impl Page {
    /// Writes the answer. `names` are the attributes that locate the next page.
    pub(crate) fn answer(self, names: &[&str]) -> Value {
        let mut answer =
            json!({ "Count": self.items.len(), "ScannedCount": self.looked_at, "Items": self.items });
        if let Some(last) = self.last {
            let key = names.iter().filter_map(|name| last.get_key_value(*name));
            let key = key.map(|(name, value)| (name.clone(), value.write()));
            answer["LastEvaluatedKey"] = Value::Object(key.collect());
        }
        answer
    }
}
