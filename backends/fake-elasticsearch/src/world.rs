//! The cluster: who may do what, indices and aliases, and which request means what.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/rest-apis.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-privileges.html>,
//! <https://docs.opensearch.org/docs/latest/api-reference/>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::create;
use crate::index::{Demand, Index};
use crate::request::{Incoming, Request};
use crate::search::{Scroll, search};

/// The most searches that go on at once: `search.max_open_scroll_context`.
const MOST_SCROLLS: usize = 500;

/// Everything that the cluster holds.
#[derive(Debug)]
pub struct World {
    /// What `GET /` says.
    pub root: Value,
    /// The only `Authorization` that is accepted; any is when there is none.
    pub authorization: Option<String>,
    /// Actions that are not permitted: `indices:admin/create`.
    pub denied: BTreeSet<&'static str>,
    /// Whether disks are too full to write:
    /// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/modules-cluster.html#disk-based-shard-allocation>.
    pub full: bool,
    indices: BTreeMap<String, Index>,
    aliases: BTreeMap<String, BTreeSet<String>>,
    scrolls: BTreeMap<String, Scroll>,
    scrolled: usize,
    /// What becomes of the first item of the next bulk request.
    pub(crate) refused_item: Option<(u16, &'static str)>,
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
            refused_item: None,
        }
    }
}

/// What `GET /` says of Elasticsearch.
#[must_use]
pub fn elasticsearch(version: &str) -> Value {
    json!({ "name": "n1", "cluster_name": "fake", "version": { "number": version }, "tagline": "You Know, for Search" })
}

/// What `GET /` says of OpenSearch.
#[must_use]
pub fn opensearch(version: &str) -> Value {
    json!({
        "name": "n1", "cluster_name": "fake", "version": { "distribution": "opensearch", "number": version },
        "tagline": "The OpenSearch Project: https://opensearch.org/",
    })
}

impl World {
    /// Returns the index behind a name.
    ///
    /// # Panics
    ///
    /// Panics when there is none, or more than one.
    pub fn index(&mut self, name: &str) -> &mut Index {
        self.resolve(name).expect("the index exists")
    }

    /// Lists the names of all indices.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.indices.keys().map(String::as_str).collect()
    }

    /// Returns how many scrolls were left open.
    #[must_use]
    pub fn open_scrolls(&self) -> usize {
        self.scrolls.len()
    }

    /// Forgets every scroll, as a node does that is restarted.
    pub fn forget_scrolls(&mut self) {
        self.scrolls.clear();
    }

    /// Removes an index with its aliases, as an operator may.
    pub fn remove(&mut self, name: &str) {
        let behind = self.index(name).name.clone();
        self.indices.remove(&behind);
        self.aliases.retain(|_, indices| {
            indices.remove(&behind);
            !indices.is_empty()
        });
    }

    /// Points another alias at an index.
    pub fn alias(&mut self, alias: &str, index: &str) {
        self.aliases.entry(alias.to_owned()).or_default().insert(index.to_owned());
    }

    /// Creates an index, and aliases of it.
    pub fn create(&mut self, name: &str, body: &Value) -> Answer {
        self.try_create(name, body).unwrap_or_else(|refusal| refusal)
    }

    fn try_create(&mut self, name: &str, body: &Value) -> Result<Answer, Answer> {
        create::check_name(name)?;
        if self.indices.contains_key(name) || self.aliases.contains_key(name) {
            let reason = format!("index [{name}/uuid] already exists");
            return Err(Answer::refusal(400, "resource_already_exists_exception", &reason));
        }
        let parts = ["settings", "mappings", "aliases"];
        if let Some((part, _)) =
            body.as_object().into_iter().flatten().find(|(part, _)| !parts.contains(&part.as_str()))
        {
            let reason = format!("unknown key [{part}] for create index");
            return Err(Answer::refusal(400, "parse_exception", &reason));
        }
        let (settings, mappings) = (create::settings(body)?, create::mappings(body)?);
        let aliases = body.get("aliases").and_then(Value::as_object).cloned().unwrap_or_default();
        for alias in aliases.keys() {
            create::check_name(alias)?;
            if self.indices.contains_key(alias) || alias == name {
                let reason =
                    format!("Invalid alias name [{alias}]: an index exists with the same name as the alias");
                return Err(Answer::refusal(400, "invalid_alias_name_exception", &reason));
            }
        }
        self.indices.insert(name.to_owned(), Index::new(name, mappings, settings));
        for alias in aliases.keys() {
            self.alias(alias, name);
        }
        Ok(Answer::ok(&json!({ "acknowledged": true, "shards_acknowledged": true, "index": name })))
    }

    pub(crate) fn serve(&mut self, incoming: &Incoming<'_>) -> Answer {
        if let Some(wanted) = self.authorization.as_deref()
            && incoming.authorization != Some(wanted)
        {
            return Answer::refusal(
                401,
                "security_exception",
                "unable to authenticate user for REST request",
            );
        }
        if let Err(refusal) = incoming.check_content_type() {
            return refusal;
        }
        let parts = incoming.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match self.route(incoming.method, &parts, &incoming.request()) {
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
                self.try_create(name, &request.json()?)
            }
            ("PUT", [name, "_mapping"]) => self.map(name, request),
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
            // Creation has a condition already, and takes no other.
            ("PUT", [name, "_create", id]) => self.put(name, id, Demand::Absent, &[], request),
            ("PUT", [name, "_doc", id]) => {
                self.put(name, id, request.demand()?, &["if_seq_no", "if_primary_term"], request)
            }
            ("DELETE", [name, "_doc", id]) => {
                self.permit("indices:data/write/delete", &["if_seq_no", "if_primary_term"], request)?;
                if self.full {
                    return Err(Answer::blocked(name));
                }
                Ok(self.resolve(name)?.delete(id, request.demand()?))
            }
            _ => {
                let reason = format!("no handler found for uri [/{}] and method [{method}]", parts.join("/"));
                Err(Answer::bare(400, &reason))
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

    /// Tells whether a write can demand an alias here: since Elasticsearch 7.10.
    fn knows_require_alias(&self) -> bool {
        let version = &self.root["version"];
        let mut numbers =
            version["number"].as_str().unwrap_or_default().split('.').map(|part| part.parse::<u32>().ok());
        version["distribution"] == "opensearch"
            || (numbers.next().flatten(), numbers.next().flatten()) >= (Some(7), Some(10))
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

    fn map(&mut self, name: &str, request: &Request<'_>) -> Result<Answer, Answer> {
        self.permit("indices:admin/mapping/put", &[], request)?;
        if self.full {
            return Err(Answer::blocked(name));
        }
        let changes = request.json()?.as_object().cloned().unwrap_or_default();
        self.resolve(name)?.mappings.extend(create::known_mappings(changes)?);
        Ok(Answer::ok(&json!({ "acknowledged": true })))
    }

    fn put(
        &mut self,
        name: &str,
        id: &str,
        demand: Demand,
        parameters: &[&str],
        request: &Request<'_>,
    ) -> Result<Answer, Answer> {
        let mut parameters = parameters.to_vec();
        parameters.extend(self.knows_require_alias().then_some("require_alias"));
        self.permit("indices:data/write/index", &parameters, request)?;
        if self.full {
            return Err(Answer::blocked(name));
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
            self.try_create(name, &json!({}))?;
        }
        Ok(self.resolve(name)?.put(id, request.body, demand))
    }

    /// Removes documents. Each has an outcome of its own, and the whole is never a failure.
    ///
    /// Source: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html>
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
            let answer = match self.refused_item.take() {
                Some((status, kind)) => Answer::refusal(status, kind, "as the test wants it"),
                None if self.full => Answer::blocked(name),
                None => {
                    self.resolve(name).map_or_else(|refusal| refusal, |it| it.delete(id, Demand::Nothing))
                }
            };
            let mut item = answer.json();
            item["status"] = answer.status.into();
            items.push(json!({ "delete": item }));
        }
        let errors = items.iter().any(|item| item["delete"].get("error").is_some());
        Ok(Answer::ok(&json!({ "took": 1, "errors": errors, "items": items })))
    }

    fn search(&mut self, name: &str, request: &Request<'_>) -> Result<Answer, Answer> {
        self.permit("indices:data/read/search", &["scroll", "allow_partial_search_results"], request)?;
        let scrolling = request.query.contains_key("scroll");
        if scrolling && self.scrolls.len() >= MOST_SCROLLS {
            let reason = "Trying to create too many scroll contexts. Must be less than or equal to: [500].";
            return Err(Answer::refusal(429, "too_many_scroll_contexts_exception", reason));
        }
        let body = request.json()?;
        let (mut answer, scroll) = search(self.resolve(name)?, &body, scrolling)?;
        if let Some(scroll) = scroll {
            self.scrolled += 1;
            let id = format!("scroll-{}", self.scrolled);
            answer["_scroll_id"] = id.clone().into();
            self.scrolls.insert(id, scroll);
        }
        Ok(Answer::ok(&answer))
    }

    /// Returns the next page. Whoever asks twice gets two pages, also when the first answer was lost.
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
        let status = if freed > 0 { 200 } else { 404 };
        Ok(Answer::new(status, json!({ "succeeded": true, "num_freed": freed }).to_string()))
    }
}
