//! The log in an index: one document for each object, with the object's name as its id and its bytes in a field that is
//! not indexed.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_scheduler_backend_log_store::{CreateResult, ObjectLog};
use ecs_scheduler_core::{FaultKind, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{IndexTarget, MAX_BATCH, PutResult, RestClient};

#[cfg(test)]
mod tests;

/// The field that repeats the id: documents cannot be sorted by their ids.
const NAME_FIELD: &str = "name";

/// The log in an index.
#[derive(Debug)]
pub(crate) struct JournalLog {
    client: Arc<RestClient>,
    target: IndexTarget,
}

impl JournalLog {
    pub(crate) fn new(client: Arc<RestClient>, target: IndexTarget) -> Self {
        Self { client, target }
    }

    fn action(&self, verb: &str, object: &str) -> String {
        format!("{verb} {object} in index \"{}\"", self.target.name)
    }
}

/// Returns the mappings of a log's index: only the name is indexed, and dynamic mapping is disabled.
pub(crate) fn mappings() -> Value {
    json!({ "dynamic": false, "properties": { NAME_FIELD: { "type": "keyword" } } })
}

/// Tells whether an index has the mappings of a log.
pub(crate) fn is_mapped(mappings: &serde_json::Map<String, Value>) -> bool {
    mappings.get("properties").and_then(|fields| fields.get(NAME_FIELD)) == name_mapping().as_ref()
}

fn name_mapping() -> Option<Value> {
    mappings()["properties"].as_object_mut()?.remove(NAME_FIELD)
}

/// An object of the log as a document.
#[derive(Debug, Serialize, Deserialize)]
struct LogObject {
    name: String,
    #[serde(flatten)]
    content: ObjectContent,
}

/// The bytes of an object: readable if they are text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ObjectContent {
    Text(String),
    Base64(String),
}

impl LogObject {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        let content = match String::from_utf8(bytes) {
            Ok(text) => ObjectContent::Text(text),
            Err(error) => ObjectContent::Base64(STANDARD.encode(error.as_bytes())),
        };
        Self { name: name.to_owned(), content }
    }

    fn into_bytes(self) -> Result<Vec<u8>, base64::DecodeError> {
        match self.content {
            ObjectContent::Text(text) => Ok(text.into_bytes()),
            ObjectContent::Base64(text) => STANDARD.decode(text),
        }
    }
}

#[async_trait]
impl ObjectLog for JournalLog {
    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<CreateResult, StoreError> {
        let source = serde_json::to_string(&LogObject::new(name, bytes)).expect("texts make JSON");
        match self.client.put(&self.target, name, source, None, self.action("write", name)).await? {
            PutResult::Written(_) => Ok(CreateResult::Created),
            PutResult::Conflict => Ok(CreateResult::Exists),
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let action = self.action("read", name);
        let Some(doc) = self.client.get(&self.target, name, action.clone()).await? else { return Ok(None) };
        let damaged = |cause: ecs_scheduler_core::fault::Cause| {
            let message =
                format!("could not {action}: the document is damaged; restore the index from a snapshot");
            StoreError::with_source(FaultKind::Config, message, cause)
        };
        let source = doc.source.ok_or_else(|| damaged("the document has no _source".into()))?;
        let object: LogObject = serde_json::from_str(source.get()).map_err(|error| damaged(error.into()))?;
        object.into_bytes().map(Some).map_err(|error| damaged(error.into()))
    }

    async fn names(&self, after: &str) -> Result<Vec<String>, StoreError> {
        self.client
            .refresh(&self.target, self.action("refresh", "all objects (permission: maintenance)"))
            .await?;
        let mut names: Vec<String> = Vec::new();
        loop {
            let after = names.last().map_or(after, String::as_str);
            let action = self.action("list", "objects");
            let page = self.client.list_ids_after(&self.target, NAME_FIELD, after, MAX_BATCH, action).await?;
            let is_last = page.len() < MAX_BATCH;
            names.extend(page);
            if is_last {
                return Ok(names);
            }
        }
    }

    async fn remove(&self, names: &[String]) -> Result<(), StoreError> {
        for batch in names.chunks(MAX_BATCH) {
            self.client.delete_all(&self.target, batch, self.action("remove", "old objects")).await?;
        }
        Ok(())
    }
}

/// The empty log before there is an index of it: only the Python version has written to the cluster.
#[derive(Debug)]
pub(crate) struct EmptyLog;

impl EmptyLog {
    fn refuse<T>() -> Result<T, StoreError> {
        Err(StoreError::fault(FaultKind::Bug, "could not write to the journal: its index does not exist"))
    }
}

#[async_trait]
impl ObjectLog for EmptyLog {
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
