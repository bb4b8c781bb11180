//! The log: one document for each object, its id the object's name, its bytes in a field that is not indexed.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_scheduler_backend_segments::{CreateResult, ObjectLog};
use ecs_scheduler_core::{FaultKind, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{AT_ONCE, Api, Changed, Target};

#[cfg(test)]
mod tests;

/// The field that holds the id again: ids themselves cannot be listed in order.
const NAME: &str = "name";

/// The log in an index.
#[derive(Debug)]
pub(crate) struct JournalLog {
    api: Arc<Api>,
    target: Target,
}

impl JournalLog {
    pub(crate) fn new(api: Arc<Api>, target: Target) -> Self {
        Self { api, target }
    }

    fn aim(&self, verb: &str, what: &str) -> String {
        format!("{verb} {what} in index \"{}\"", self.target.name)
    }
}

/// How the index of a log maps its documents: only the name is indexed, so no field is ever guessed.
pub(crate) fn mappings() -> Value {
    json!({ "dynamic": false, "properties": { NAME: { "type": "keyword" } } })
}

/// Tells whether an index maps its documents so.
pub(crate) fn is_mapped(mappings: &serde_json::Map<String, Value>) -> bool {
    mappings.get("properties").and_then(|fields| fields.get(NAME)) == mappings_of_name().as_ref()
}

fn mappings_of_name() -> Option<Value> {
    mappings()["properties"].as_object_mut()?.remove(NAME)
}

/// An object as a document.
#[derive(Debug, Serialize, Deserialize)]
struct Object {
    name: String,
    #[serde(flatten)]
    content: Content,
}

/// What an object holds: readable if it is text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Content {
    Text(String),
    Base64(String),
}

impl Object {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        let content = match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(error) => Content::Base64(STANDARD.encode(error.as_bytes())),
        };
        Self { name: name.to_owned(), content }
    }

    fn into_bytes(self) -> Result<Vec<u8>, base64::DecodeError> {
        match self.content {
            Content::Text(text) => Ok(text.into_bytes()),
            Content::Base64(text) => STANDARD.decode(text),
        }
    }
}

#[async_trait]
impl ObjectLog for JournalLog {
    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<CreateResult, StoreError> {
        let source = serde_json::to_string(&Object::new(name, bytes)).expect("texts make JSON");
        match self.api.put(&self.target, name, source, None, self.aim("write", name)).await? {
            Changed::Done(_) => Ok(CreateResult::Created),
            Changed::Conflict => Ok(CreateResult::Exists),
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let aim = self.aim("read", name);
        let Some(found) = self.api.get(&self.target, name, aim.clone()).await? else { return Ok(None) };
        let damaged = |cause: ecs_scheduler_core::fault::Cause| {
            let message =
                format!("could not {aim}: the document is damaged; restore the index from a snapshot");
            StoreError::caused(FaultKind::Config, message, cause)
        };
        let source = found.source.ok_or_else(|| damaged("it has no _source".into()))?;
        let object: Object = serde_json::from_str(source.get()).map_err(|error| damaged(error.into()))?;
        object.into_bytes().map(Some).map_err(|error| damaged(error.into()))
    }

    async fn names(&self, after: &str) -> Result<Vec<String>, StoreError> {
        self.api.refresh(&self.target, self.aim("see", "every object (permission: maintenance)")).await?;
        let mut names: Vec<String> = Vec::new();
        loop {
            let after = names.last().map_or(after, String::as_str);
            let aim = self.aim("list", "objects");
            let page = self.api.ids_after(&self.target, NAME, after, AT_ONCE, aim).await?;
            let last = page.len() < AT_ONCE;
            names.extend(page);
            if last {
                return Ok(names);
            }
        }
    }

    async fn remove(&self, names: &[String]) -> Result<(), StoreError> {
        for some in names.chunks(AT_ONCE) {
            self.api.delete_all(&self.target, some, self.aim("remove", "old objects")).await?;
        }
        Ok(())
    }
}

/// The log where there is no index of it yet: only the Python version has been here.
#[derive(Debug)]
pub(crate) struct NoLog;

impl NoLog {
    fn refuse<T>() -> Result<T, StoreError> {
        Err(StoreError::fault(FaultKind::Bug, "a journal that does not exist was to be written"))
    }
}

#[async_trait]
impl ObjectLog for NoLog {
    async fn create(&self, _: &str, _: Vec<u8>) -> Result<CreateResult, StoreError> {
        Self::refuse()
    }

    async fn read(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn names(&self, _: &str) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn remove(&self, _: &[String]) -> Result<(), StoreError> {
        Self::refuse()
    }
}
