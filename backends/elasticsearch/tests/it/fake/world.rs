//! The cluster: who may do what, indices and aliases, and which request means what.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/rest-apis.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-privileges.html>,
//! <https://docs.opensearch.org/docs/latest/api-reference/>

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::index::{Demand, Index};
use super::search::{Scroll, search};

/// Everything that the cluster holds.
#[derive(Debug)]
pub(crate) struct World {
    /// What `GET /` says.
    pub(crate) root: Value,
    /// The only `Authorization` that is accepted; any is when there is none.
    pub(crate) authorization: Option<String>,
    /// Actions that are not permitted: `indices:admin/create`.
    pub(crate) denied: BTreeSet<&'static str>,
    /// Whether disks are too full to write: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/modules-cluster.html#disk-based-shard-allocation>.
    pub(crate) full: bool,
    indices: BTreeMap<String, Index>,
    aliases: BTreeMap<String, BTreeSet<String>>,
    scrolls: BTreeMap<String, Scroll>,
    scrolled: usize,
}

impl Default for World {
    /// An Elasticsearch 8 that lets anyone do anything.
    fn default() -> Self {
        Self {
            root: elasticsearch("8.19.4"),
            authorization: None,
            denied: BTreeSet::new(),
            full: false,
            indices: BTreeMap::new(),
            aliases: BTreeMap::new(),
            scrolls: BTreeMap::new(),
            scrolled: 0,
        }
    }
}

/// What `GET /` says of Elasticsearch.
pub(crate) fn elasticsearch(version: &str) -> Value {
    json!({ "name": "n1", "cluster_name": "fake", "version": { "number": version }, "tagline": "You Know, for Search" })
}

/// What `GET /` says of OpenSearch.
pub(crate) fn opensearch(version: &str) -> Value {
    json!({
        "name": "n1", "cluster_name": "fake", "version": { "distribution": "opensearch", "number": version },
        "tagline": "The OpenSearch Project: https://opensearch.org/",
    })
}

/// A request, taken apart.
struct Request<'a> {
    query: BTreeMap<String, String>,
    body: &'a str,
}

impl Request<'_> {
    fn json(&self) -> Result<Value, Answer> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_str(self.body)
            .map_err(|error| Answer::refusal(400, "parsing_exception", &error.to_string()))
    }

    fn demand(&self) -> Result<Demand, Answer> {
        let number = |name: &str| self.query.get(name).map(|text| text.parse::<u64>());
        match (number("if_seq_no"), number("if_primary_term")) {
            (None, None) => Ok(Demand::Nothing),
            (Some(Ok(seq_no)), Some(Ok(primary_term))) => Ok(Demand::At { seq_no, primary_term }),
            _ => Err(Answer::wrong("ifSeqNo is set, but primary term is not, or neither is a number")),
        }
    }
}

impl World {
    /// Returns the index behind a name.
    pub(crate) fn index(&mut self, name: &str) -> &mut Index {
        self.resolve(name).expect("the index exists")
    }

    /// Lists the names of all indices.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.indices.keys().map(String::as_str).collect()
    }

    /// Creates an index, and aliases of it.
    pub(crate) fn create(&mut self, name: &str, body: &Value) -> Answer {
        if self.indices.contains_key(name) || self.aliases.contains_key(name) {
            let reason = format!("index [{name}/uuid] already exists");
            return Answer::refusal(400, "resource_already_exists_exception", &reason);
        }
        let mut settings = BTreeMap::new();
        flatten("", body.get("settings").unwrap_or(&Value::Null), &mut settings);
        let mut mappings = body.get("mappings").and_then(Value::as_object).cloned().unwrap_or_default();
        spell_dynamic(&mut mappings);
        self.indices.insert(name.to_owned(), Index::new(name, mappings, settings));
        for alias in body.get("aliases").and_then(Value::as_object).into_iter().flatten() {
            self.aliases.entry(alias.0.clone()).or_default().insert(name.to_owned());
        }
        Answer::ok(&json!({ "acknowledged": true, "shards_acknowledged": true, "index": name }))
    }

    pub(crate) fn serve(
        &mut self,
        method: &Method,
        uri: &Uri,
        authorization: Option<&str>,
        body: &[u8],
    ) -> Answer {
        if let Some(wanted) = &self.authorization
            && authorization != Some(wanted)
        {
            return Answer::refusal(
                401,
                "security_exception",
                "unable to authenticate user for REST request",
            );
        }
        let query = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = query.map(|(key, value)| (key.to_owned(), decode(value))).collect();
        let body = String::from_utf8(body.to_vec()).expect("requests are UTF-8");
        let request = Request { query, body: &body };
        let parts: Vec<String> = uri.path().split('/').skip(1).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match self.route(method.as_str(), &parts, &request) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    fn route(&mut self, method: &str, parts: &[&str], request: &Request<'_>) -> Result<Answer, Answer> {
        match (method, parts) {
            ("GET", [""]) => {
                self.permit("cluster:monitor/main", &[], request)?;
                Ok(Answer::ok(&self.root))
            }
            ("POST", ["_search", "scroll"]) => self.scroll_on(request),
            ("DELETE", ["_search", "scroll"]) => self.scroll_off(request),
            ("GET", [name]) => {
                self.permit("indices:admin/get", &["flat_settings"], request)?;
                self.describe(name)
            }
            ("PUT", [name]) => {
                self.permit("indices:admin/create", &[], request)?;
                Ok(self.create(name, &request.json()?))
            }
            ("PUT", [name, "_mapping"]) => {
                self.permit("indices:admin/mapping/put", &[], request)?;
                let changes = request.json()?.as_object().cloned().unwrap_or_default();
                let mappings = &mut self.resolve(name)?.mappings;
                mappings.extend(changes);
                spell_dynamic(mappings);
                Ok(Answer::ok(&json!({ "acknowledged": true })))
            }
            ("POST", [name, "_refresh"]) => {
                self.permit("indices:admin/refresh", &[], request)?;
                self.resolve(name)?.refresh();
                Ok(Answer::ok(&json!({ "_shards": { "total": 2, "successful": 1, "failed": 0 } })))
            }
            ("POST", [name, "_search"]) => self.search(name, request),
            ("POST", [name, "_bulk"]) => self.bulk(name, request),
            ("GET", [name, "_doc", id]) => {
                self.permit("indices:data/read/get", &[], request)?;
                Ok(self.resolve(name)?.get(id))
            }
            ("PUT", [name, "_create", id]) => self.put(name, id, Demand::Absent, request),
            ("PUT", [name, "_doc", id]) => self.put(name, id, request.demand()?, request),
            ("DELETE", [name, "_doc", id]) => {
                self.permit("indices:data/write/delete", &["if_seq_no", "if_primary_term"], request)?;
                Ok(self.resolve(name)?.delete(id, request.demand()?))
            }
            _ => {
                let reason = format!("no handler found for uri [/{}] and method [{method}]", parts.join("/"));
                Err(Answer::new(400, json!({ "error": reason, "status": 400 }).to_string()))
            }
        }
    }

    /// Refuses an action that is not permitted, and parameters that it does not have.
    fn permit(&self, action: &str, parameters: &[&str], request: &Request<'_>) -> Result<(), Answer> {
        if self.denied.contains(action) {
            let reason = format!("action [{action}] is unauthorized for user [scheduler]");
            return Err(Answer::refusal(403, "security_exception", &reason));
        }
        match request.query.keys().find(|name| !parameters.contains(&name.as_str())) {
            Some(name) => Err(Answer::wrong(&format!("request contains unrecognized parameter: [{name}]"))),
            None => Ok(()),
        }
    }

    fn resolve(&mut self, name: &str) -> Result<&mut Index, Answer> {
        let behind = match self.aliases.get(name) {
            None => name.to_owned(),
            Some(indices) if indices.len() == 1 => indices.first().expect("there is one").clone(),
            Some(_) => {
                return Err(Answer::wrong(&format!(
                    "alias [{name}] has more than one index associated with it"
                )));
            }
        };
        self.indices.get_mut(&behind).ok_or_else(|| Answer::no_index(name))
    }

    fn describe(&self, name: &str) -> Result<Answer, Answer> {
        let names = self.aliases.get(name).cloned().unwrap_or_else(|| BTreeSet::from([name.to_owned()]));
        let mut described = Map::new();
        for concrete in &names {
            let index = self.indices.get(concrete).ok_or_else(|| Answer::no_index(name))?;
            let aliases = self.aliases.iter().filter(|(_, indices)| indices.contains(concrete));
            let aliases: Map<String, Value> = aliases.map(|(alias, _)| (alias.clone(), json!({}))).collect();
            let index = json!({ "aliases": aliases, "mappings": index.mappings, "settings": index.settings });
            described.insert(concrete.clone(), index);
        }
        Ok(Answer::ok(&Value::Object(described)))
    }

    fn put(&mut self, name: &str, id: &str, demand: Demand, request: &Request<'_>) -> Result<Answer, Answer> {
        self.permit("indices:data/write/index", &["if_seq_no", "if_primary_term", "require_alias"], request)?;
        if self.full {
            let reason = format!(
                "index [{name}] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has \
                 read-only-allow-delete block];"
            );
            return Err(Answer::refusal(429, "cluster_block_exception", &reason));
        }
        if request.query.get("require_alias").is_some_and(|value| value == "true")
            && !self.aliases.contains_key(name)
        {
            let reason = format!(
                "no such index [{name}] and [require_alias] request flag is [true] and [{name}] is not an alias"
            );
            return Err(Answer::refusal(404, "index_not_found_exception", &reason));
        }
        if !self.indices.contains_key(name) && !self.aliases.contains_key(name) {
            // Whoever writes makes the index: `action.auto_create_index`.
            self.create(name, &json!({}));
        }
        Ok(self.resolve(name)?.put(id, request.body, demand))
    }

    fn bulk(&mut self, name: &str, request: &Request<'_>) -> Result<Answer, Answer> {
        self.permit("indices:data/write/bulk", &[], request)?;
        if !request.body.ends_with('\n') {
            return Err(Answer::wrong("The bulk request must be terminated by a newline [\\n]"));
        }
        let mut items = Vec::new();
        for line in request.body.lines() {
            let action: Value =
                serde_json::from_str(line).map_err(|error| Answer::wrong(&error.to_string()))?;
            let Some(id) = action["delete"]["_id"].as_str() else {
                return Err(Answer::wrong("Malformed action/metadata line"));
            };
            let answer = self.resolve(name)?.delete(id, Demand::Nothing);
            let mut item: Value = serde_json::from_str(&answer.body).unwrap();
            item["status"] = answer.status.as_u16().into();
            items.push(json!({ "delete": item }));
        }
        Ok(Answer::ok(&json!({ "took": 1, "errors": false, "items": items })))
    }

    fn search(&mut self, name: &str, request: &Request<'_>) -> Result<Answer, Answer> {
        self.permit("indices:data/read/search", &["scroll", "allow_partial_search_results"], request)?;
        let body = request.json()?;
        let (mut answer, scroll) = search(self.resolve(name)?, &body, request.query.contains_key("scroll"))?;
        if let Some(scroll) = scroll {
            self.scrolled += 1;
            let id = format!("scroll-{}", self.scrolled);
            answer["_scroll_id"] = id.clone().into();
            self.scrolls.insert(id, scroll);
        }
        Ok(Answer::ok(&answer))
    }

    fn scroll_on(&mut self, request: &Request<'_>) -> Result<Answer, Answer> {
        self.permit("indices:data/read/scroll", &[], request)?;
        let body = request.json()?;
        let id = body["scroll_id"].as_str().unwrap_or_default();
        let scroll = self.scrolls.get_mut(id);
        let scroll = scroll.ok_or_else(|| {
            Answer::refusal(404, "search_context_missing_exception", "No search context found")
        })?;
        let mut answer = scroll.next();
        answer["_scroll_id"] = id.into();
        Ok(Answer::ok(&answer))
    }

    fn scroll_off(&mut self, request: &Request<'_>) -> Result<Answer, Answer> {
        self.permit("indices:data/read/scroll/clear", &[], request)?;
        let body = request.json()?;
        let ids = body["scroll_id"].as_array().cloned().unwrap_or_default();
        let freed =
            ids.iter().filter(|id| self.scrolls.remove(id.as_str().unwrap_or_default()).is_some()).count();
        Ok(Answer::ok(&json!({ "succeeded": true, "num_freed": freed })))
    }

    /// Returns how many scrolls were left open.
    pub(crate) fn open_scrolls(&self) -> usize {
        self.scrolls.len()
    }

    /// Removes an index with its aliases, as an operator may.
    pub(crate) fn remove(&mut self, name: &str) {
        let behind = self.resolve(name).expect("the index exists").name.clone();
        self.indices.remove(&behind);
        self.aliases.retain(|_, indices| {
            indices.remove(&behind);
            !indices.is_empty()
        });
    }

    /// Points another alias at an index.
    pub(crate) fn alias(&mut self, alias: &str, index: &str) {
        self.aliases.entry(alias.to_owned()).or_default().insert(index.to_owned());
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().expect("paths are UTF-8").into_owned()
}

/// Elasticsearch shows `dynamic` as a text, whatever it was given.
fn spell_dynamic(mappings: &mut Map<String, Value>) {
    if let Some(dynamic) = mappings.get_mut("dynamic") {
        let text = dynamic.as_str().map_or_else(|| dynamic.to_string(), str::to_owned);
        *dynamic = text.into();
    }
}

/// Settings as `flat_settings` shows them: names joined by dots, values as texts.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&below, value, into);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            into.insert(path.to_owned(), text.clone().into());
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            into.insert(path.to_owned(), value.to_string().into());
        }
    }
}
