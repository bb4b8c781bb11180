//! One index: documents under compare-and-set, and what a search sees of them.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/docs-index_.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/optimistic-concurrency-control.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/near-real-time.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::fields::Fields;

/// The most bytes of an id.
const LONGEST_ID: usize = 512;

/// A document.
#[derive(Debug, Clone)]
pub struct Doc {
    /// To the letter, as Elasticsearch keeps it.
    pub source: String,
    pub(crate) seq_no: u64,
    pub(crate) primary_term: u64,
    version: u64,
}

/// What a write demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// That there is no such document.
    Absent,
    /// That the document's last change was this one.
    At {
        /// The number of the change.
        seq_no: u64,
        /// The term of the primary that made it.
        primary_term: u64,
    },
}

/// An index.
#[derive(Debug)]
pub struct Index {
    pub(crate) name: String,
    /// As they are described.
    pub mappings: Map<String, Value>,
    /// By their whole names, as texts.
    pub settings: BTreeMap<String, Value>,
    docs: BTreeMap<String, Doc>,
    /// As they were at the last refresh.
    pub(crate) searchable: BTreeMap<String, Doc>,
    next: u64,
    primary_term: u64,
    pub(crate) fields: Fields,
}

impl Index {
    pub(crate) fn new(name: &str, mappings: Map<String, Value>, settings: BTreeMap<String, Value>) -> Self {
        Self {
            name: name.to_owned(),
            fields: Fields::given(&mappings),
            mappings,
            settings,
            docs: BTreeMap::new(),
            searchable: BTreeMap::new(),
            next: 0,
            primary_term: 1,
        }
    }

    /// Returns every document by its id.
    #[must_use]
    pub fn docs(&self) -> &BTreeMap<String, Doc> {
        &self.docs
    }

    pub(crate) fn refresh(&mut self) {
        self.searchable.clone_from(&self.docs);
    }

    /// Begins a new primary: everything written from now on has another term.
    pub fn fail_over(&mut self) {
        self.primary_term += 1;
    }

    pub(crate) fn get(&self, id: &str) -> Answer {
        let Some(doc) = self.docs.get(id) else {
            return Answer::new(404, json!({ "_index": self.name, "_id": id, "found": false }).to_string());
        };
        let head = json!({
            "_index": self.name, "_id": id, "_version": doc.version, "_seq_no": doc.seq_no,
            "_primary_term": doc.primary_term, "found": true,
        });
        let head = head.to_string();
        Answer::new(200, format!("{},\"_source\":{}}}", head.trim_end_matches('}'), doc.source))
    }

    /// Writes a document, as any program may.
    pub fn put(&mut self, id: &str, source: &str, demand: Demand) -> Answer {
        if id.len() > LONGEST_ID {
            let reason =
                format!("id [{id}] is too long, must be no longer than 512 bytes but was: {}", id.len());
            return Answer::refusal(400, "action_request_validation_exception", &reason);
        }
        let Ok(Value::Object(fields)) = serde_json::from_str(source) else {
            return Answer::refusal(400, "document_parsing_exception", "failed to parse");
        };
        if let Err(conflict) = self.meet(id, demand) {
            return conflict;
        }
        if !self.is_blind() {
            // A document that is refused teaches nothing.
            let mut learnt = self.fields.clone();
            if let Err((kind, reason)) = learnt.learn("", &fields, self.is_guessing()) {
                return Answer::refusal(400, kind, &reason);
            }
            self.fields = learnt;
        }
        self.keep(id, source)
    }

    /// Puts a document in its place as a backup has it, whatever its fields are; their types are guessed as far as they go.
    pub fn restore(&mut self, id: &str, source: &str) {
        let fields = serde_json::from_str(source).expect("a backup holds objects");
        // What does not fit was written before the types were as they are.
        let _ = self.fields.learn("", &fields, self.is_guessing());
        self.keep(id, source);
    }

    /// Tells whether fields are not looked at.
    fn is_blind(&self) -> bool {
        self.mappings.get("enabled") == Some(&json!(false))
    }

    /// Tells whether types of new fields are guessed.
    fn is_guessing(&self) -> bool {
        !matches!(self.mappings.get("dynamic"), Some(value) if value == "false" || value == false)
    }

    fn keep(&mut self, id: &str, source: &str) -> Answer {
        let version = self.docs.get(id).map_or(0, |doc| doc.version) + 1;
        let seq_no = self.count();
        let doc = Doc { source: source.to_owned(), seq_no, primary_term: self.primary_term, version };
        self.docs.insert(id.to_owned(), doc);
        let (status, result) = if version == 1 { (201, "created") } else { (200, "updated") };
        self.written(status, id, version, seq_no, result)
    }

    /// Removes a document, as any program may.
    pub fn delete(&mut self, id: &str, demand: Demand) -> Answer {
        if let Err(conflict) = self.meet(id, demand) {
            return conflict;
        }
        let gone = self.docs.remove(id);
        let seq_no = self.count();
        let version = gone.as_ref().map_or(1, |doc| doc.version + 1);
        let (status, result) = if gone.is_some() { (200, "deleted") } else { (404, "not_found") };
        self.written(status, id, version, seq_no, result)
    }

    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn written(&self, status: u16, id: &str, version: u64, seq_no: u64, result: &str) -> Answer {
        let body = json!({
            "_index": self.name, "_id": id, "_version": version, "result": result,
            "_shards": { "total": 2, "successful": 1, "failed": 0 },
            "_seq_no": seq_no, "_primary_term": self.primary_term,
        });
        Answer::new(status, body.to_string())
    }

    fn meet(&self, id: &str, demand: Demand) -> Result<(), Answer> {
        let found = self.docs.get(id);
        let reason = match (demand, found) {
            (Demand::Nothing, _) | (Demand::Absent, None) => return Ok(()),
            (Demand::At { seq_no, primary_term }, Some(doc))
                if (doc.seq_no, doc.primary_term) == (seq_no, primary_term) =>
            {
                return Ok(());
            }
            (Demand::Absent, Some(doc)) => {
                format!(
                    "[{id}]: version conflict, document already exists (current version [{}])",
                    doc.version
                )
            }
            (Demand::At { seq_no, primary_term }, Some(doc)) => format!(
                "[{id}]: version conflict, required seqNo [{seq_no}], primary term [{primary_term}]. current document has \
                 seqNo [{}] and primary term [{}]",
                doc.seq_no, doc.primary_term
            ),
            (Demand::At { seq_no, primary_term }, None) => format!(
                "[{id}]: version conflict, required seqNo [{seq_no}], primary term [{primary_term}]. but no document was found"
            ),
        };
        Err(Answer::refusal(409, "version_conflict_engine_exception", &reason))
    }
}
