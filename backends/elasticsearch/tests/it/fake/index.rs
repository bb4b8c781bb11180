//! One index: documents under compare-and-set, what a search sees of them, and types of fields.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/docs-index_.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/optimistic-concurrency-control.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/near-real-time.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/dynamic-field-mapping.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::Answer;

/// The most bytes of an id.
const LONGEST_ID: usize = 512;

/// A document.
#[derive(Debug, Clone)]
pub(crate) struct Doc {
    /// To the letter, as Elasticsearch keeps it.
    pub(crate) source: String,
    pub(crate) seq_no: u64,
    pub(crate) primary_term: u64,
    version: u64,
}

/// What a write demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    Nothing,
    Absent,
    At { seq_no: u64, primary_term: u64 },
}

/// An index.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) mappings: Map<String, Value>,
    pub(crate) settings: BTreeMap<String, Value>,
    docs: BTreeMap<String, Doc>,
    /// As they were at the last refresh.
    pub(crate) searchable: BTreeMap<String, Doc>,
    next: u64,
    primary_term: u64,
    /// Types of fields, by their whole names.
    types: BTreeMap<String, String>,
}

impl Index {
    pub(crate) fn new(name: &str, mappings: Map<String, Value>, settings: BTreeMap<String, Value>) -> Self {
        let (docs, searchable) = Default::default();
        let known = mappings.get("properties").and_then(Value::as_object).into_iter().flatten();
        let types =
            known.map(|(field, how)| (field.clone(), how["type"].as_str().unwrap_or("object").to_owned()));
        let types = types.collect();
        Self { name: name.to_owned(), mappings, settings, docs, searchable, next: 0, primary_term: 1, types }
    }

    pub(crate) fn docs(&self) -> &BTreeMap<String, Doc> {
        &self.docs
    }

    /// Tells whether a field is one of keywords: only those are sorted and compared.
    pub(crate) fn is_keyword(&self, field: &str) -> bool {
        self.types.get(field).is_some_and(|kind| kind == "keyword")
    }

    pub(crate) fn refresh(&mut self) {
        self.searchable.clone_from(&self.docs);
    }

    /// A new primary: everything written from now on has another term.
    pub(crate) fn fail_over(&mut self) {
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

    pub(crate) fn put(&mut self, id: &str, source: &str, demand: Demand) -> Answer {
        if id.len() > LONGEST_ID {
            let reason =
                format!("id [{id}] is too long, must be no longer than 512 bytes but was: {}", id.len());
            return Answer::refusal(400, "action_request_validation_exception", &reason);
        }
        let Ok(Value::Object(fields)) = serde_json::from_str(source) else {
            return Answer::refusal(400, "mapper_parsing_exception", "failed to parse");
        };
        if let Err(conflict) = self.meet(id, demand) {
            return conflict;
        }
        if let Err(reason) = self.learn("", &fields) {
            return Answer::refusal(400, "document_parsing_exception", &reason);
        }
        self.keep(id, source)
    }

    /// Puts a document in its place as a backup has it, whatever its fields are; their types are guessed as far as they go.
    pub(crate) fn restore(&mut self, id: &str, source: &str) {
        let fields: Map<String, Value> = serde_json::from_str(source).unwrap();
        let _ = self.learn("", &fields);
        self.keep(id, source);
    }

    fn keep(&mut self, id: &str, source: &str) -> Answer {
        let version = self.docs.get(id).map_or(0, |doc| doc.version) + 1;
        let seq_no = self.count();
        let doc = Doc { source: source.to_owned(), seq_no, primary_term: self.primary_term, version };
        self.docs.insert(id.to_owned(), doc);
        let (status, result) = if version == 1 { (201, "created") } else { (200, "updated") };
        self.written(status, id, version, seq_no, result)
    }

    pub(crate) fn delete(&mut self, id: &str, demand: Demand) -> Answer {
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

    /// Checks fields against their types, and guesses the types of new ones where that is not turned off.
    fn learn(&mut self, path: &str, fields: &Map<String, Value>) -> Result<(), String> {
        if self.mappings.get("enabled") == Some(&json!(false)) {
            return Ok(());
        }
        let guessing =
            !matches!(self.mappings.get("dynamic"), Some(value) if value == "false" || value == false);
        for (name, value) in fields {
            let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            for value in values {
                if let Value::Object(inner) = &value {
                    self.learn(&field, inner)?;
                    continue;
                }
                let Some(guess) = guess(&value) else { continue };
                match self.types.get(&field).map(String::as_str) {
                    None if guessing => drop(self.types.insert(field.clone(), guess.to_owned())),
                    Some("long") if value.as_str().is_some_and(|text| text.parse::<f64>().is_err()) => {
                        return Err(format!(
                            "[1:1] failed to parse field [{field}] of type [long] in document"
                        ));
                    }
                    None | Some(_) => {}
                }
            }
        }
        Ok(())
    }
}

fn guess(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("float"),
        Value::Number(_) => Some("long"),
        Value::String(_) => Some("text"),
    }
}
