//! A page of items: as many as the bounds let through.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::condition::Condition;
use super::path::{Path, project};
use super::value::{Item, size_of_item, write_item};

/// What bounds a page, and what of it is shown.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) limit: Option<usize>,
    pub(crate) bytes: usize,
    pub(crate) filter: Option<Condition>,
    pub(crate) projection: Option<Vec<Path>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Page {
    items: Vec<Value>,
    looked_at: usize,
    pub(crate) bytes: usize,
    last: Option<Item>,
}

impl Wish {
    /// Gathers items until a bound is reached. What the filter leaves out counts.
    pub(crate) fn gather<'a>(&self, mut items: impl Iterator<Item = Cow<'a, Item>>) -> Page {
        let mut page = Page::default();
        let mut last: Option<Cow<'a, Item>> = None;
        loop {
            // As DynamoDB does, without looking whether there is another one.
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
    /// Writes the answer. `names` are the attributes by which the next page is found.
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
