//! One index: documents under compare-and-set, and the documents that a search sees.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/docs-index_.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/optimistic-concurrency-control.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/near-real-time.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::fields::FieldTypes;
use crate::response::FakeResponse;

/// The most bytes of an id.
const MAX_ID_BYTES: usize = 512;

/// A document in an index.
#[derive(Debug, Clone)]
pub struct IndexedDoc {
    /// The text of the document, unchanged.
    pub source: String,
    pub(crate) seq_no: u64,
    pub(crate) primary_term: u64,
    version: u64,
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteCondition {
    /// There is no condition.
    Unconditional,
    /// The document must not exist.
    Absent,
    /// The last change of the document must be this one.
    At {
        /// The number of the change.
        seq_no: u64,
        /// The term of the primary that made it.
        primary_term: u64,
    },
}

/// An index.
#[derive(Debug)]
pub struct FakeIndex {
    pub(crate) name: String,
    /// The mappings as Elasticsearch shows them.
    pub mappings: Map<String, Value>,
    /// The settings by their flat names, as texts.
    pub settings: BTreeMap<String, Value>,
    docs: BTreeMap<String, IndexedDoc>,
    /// The documents at the last refresh.
    pub(crate) searchable: BTreeMap<String, IndexedDoc>,
    next_seq_no: u64,
    primary_term: u64,
    pub(crate) fields: FieldTypes,
}

impl FakeIndex {
    pub(crate) fn new(name: &str, mappings: Map<String, Value>, settings: BTreeMap<String, Value>) -> Self {
        Self {
            name: name.to_owned(),
            fields: FieldTypes::from_mappings(&mappings),
            mappings,
            settings,
            docs: BTreeMap::new(),
            searchable: BTreeMap::new(),
            next_seq_no: 0,
            primary_term: 1,
        }
    }

    /// Returns every document by its id.
    #[must_use]
    pub fn docs(&self) -> &BTreeMap<String, IndexedDoc> {
        &self.docs
    }

    pub(crate) fn refresh(&mut self) {
        self.searchable.clone_from(&self.docs);
    }

    /// Elects a new primary: later writes have another term.
    pub fn fail_over(&mut self) {
        self.primary_term += 1;
    }

    pub(crate) fn get(&self, id: &str) -> FakeResponse {
        let Some(doc) = self.docs.get(id) else {
            return FakeResponse::new(
                404,
                json!({ "_index": self.name, "_id": id, "found": false }).to_string(),
            );
        };
        let head = json!({
            "_index": self.name, "_id": id, "_version": doc.version, "_seq_no": doc.seq_no,
            "_primary_term": doc.primary_term, "found": true,
        });
        let head = head.to_string();
        FakeResponse::new(200, format!("{},\"_source\":{}}}", head.trim_end_matches('}'), doc.source))
    }

    /// Writes a document as another program would.
    pub fn put(&mut self, id: &str, source: &str, condition: WriteCondition) -> FakeResponse {
        if id.len() > MAX_ID_BYTES {
            let reason =
                format!("id [{id}] is too long, must be no longer than 512 bytes but was: {}", id.len());
            return FakeResponse::error(400, "action_request_validation_exception", &reason);
        }
        let Ok(Value::Object(fields)) = serde_json::from_str(source) else {
            return FakeResponse::error(400, "document_parsing_exception", "failed to parse");
        };
        if let Err(conflict) = self.check_condition(id, condition) {
            return conflict;
        }
        if !self.is_unmapped() {
            // A refused document adds no fields.
            let mut updated = self.fields.clone();
            if let Err((kind, reason)) = updated.check_and_map("", &fields, self.is_dynamic()) {
                return FakeResponse::error(400, kind, &reason);
            }
            self.fields = updated;
        }
        self.store(id, source)
    }

    /// Restores a document from a backup, even when its fields do not fit; the types of new fields are derived.
    pub fn restore(&mut self, id: &str, source: &str) {
        let fields = serde_json::from_str(source).expect("the documents of a backup are objects");
        // A field that does not fit was written before the types were mapped.
        let _ = self.fields.check_and_map("", &fields, self.is_dynamic());
        self.store(id, source);
    }

    /// Tells whether the mapping is disabled.
    fn is_unmapped(&self) -> bool {
        self.mappings.get("enabled") == Some(&json!(false))
    }

    /// Tells whether the types of new fields are derived.
    fn is_dynamic(&self) -> bool {
        !matches!(self.mappings.get("dynamic"), Some(value) if value == "false" || value == false)
    }

    fn store(&mut self, id: &str, source: &str) -> FakeResponse {
        let version = self.docs.get(id).map_or(0, |doc| doc.version) + 1;
        let seq_no = self.take_seq_no();
        let doc = IndexedDoc { source: source.to_owned(), seq_no, primary_term: self.primary_term, version };
        self.docs.insert(id.to_owned(), doc);
        let (status, result) = if version == 1 { (201, "created") } else { (200, "updated") };
        self.write_response(status, id, version, seq_no, result)
    }

    /// Removes a document as another program would.
    pub fn delete(&mut self, id: &str, condition: WriteCondition) -> FakeResponse {
        if let Err(conflict) = self.check_condition(id, condition) {
            return conflict;
        }
        let removed = self.docs.remove(id);
        let seq_no = self.take_seq_no();
        let version = removed.as_ref().map_or(1, |doc| doc.version + 1);
        let (status, result) = if removed.is_some() { (200, "deleted") } else { (404, "not_found") };
        self.write_response(status, id, version, seq_no, result)
    }

    fn take_seq_no(&mut self) -> u64 {
        self.next_seq_no += 1;
        self.next_seq_no - 1
    }

    fn write_response(&self, status: u16, id: &str, version: u64, seq_no: u64, result: &str) -> FakeResponse {
        let body = json!({
            "_index": self.name, "_id": id, "_version": version, "result": result,
            "_shards": { "total": 2, "successful": 1, "failed": 0 },
            "_seq_no": seq_no, "_primary_term": self.primary_term,
        });
        FakeResponse::new(status, body.to_string())
    }

    fn check_condition(&self, id: &str, condition: WriteCondition) -> Result<(), FakeResponse> {
        let found = self.docs.get(id);
        let reason = match (condition, found) {
            (WriteCondition::Unconditional, _) | (WriteCondition::Absent, None) => return Ok(()),
            (WriteCondition::At { seq_no, primary_term }, Some(doc))
                if (doc.seq_no, doc.primary_term) == (seq_no, primary_term) =>
            {
                return Ok(());
            }
            (WriteCondition::Absent, Some(doc)) => {
                format!(
                    "[{id}]: version conflict, document already exists (current version [{}])",
                    doc.version
                )
            }
            (WriteCondition::At { seq_no, primary_term }, Some(doc)) => format!(
                "[{id}]: version conflict, required seqNo [{seq_no}], primary term [{primary_term}]. current document has \
                 seqNo [{}] and primary term [{}]",
                doc.seq_no, doc.primary_term
            ),
            (WriteCondition::At { seq_no, primary_term }, None) => format!(
                "[{id}]: version conflict, required seqNo [{seq_no}], primary term [{primary_term}]. but no document was found"
            ),
        };
        Err(FakeResponse::error(409, "version_conflict_engine_exception", &reason))
    }
}
