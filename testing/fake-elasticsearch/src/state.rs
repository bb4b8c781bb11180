//! The state of the cluster: permissions, indices, aliases and scrolls; and the routing of requests.
//!
//! Sources: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/rest-apis.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-privileges.html>,
//! <https://docs.opensearch.org/docs/latest/api-reference/>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::index::{FakeIndex, WriteCondition};
use crate::index_settings;
use crate::request::{ApiParams, HttpRequest};
use crate::response::FakeResponse;
use crate::search::{OpenScroll, search};

/// The most open scrolls: `search.max_open_scroll_context`.
const MAX_OPEN_SCROLLS: usize = 500;

/// The state of the cluster.
#[derive(Debug)]
pub struct ClusterState {
    /// The response of `GET /`.
    pub root: Value,
    /// The only accepted `Authorization`; without one, every request is accepted.
    pub authorization: Option<String>,
    /// The denied actions, such as `indices:admin/create`.
    pub denied: BTreeSet<&'static str>,
    /// Whether the disks are too full for writes:
    /// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/modules-cluster.html#disk-based-shard-allocation>.
    pub full: bool,
    indices: BTreeMap<String, FakeIndex>,
    aliases: BTreeMap<String, BTreeSet<String>>,
    scrolls: BTreeMap<String, OpenScroll>,
    scroll_count: usize,
    /// The error of the first item of the next bulk request.
    pub(crate) bulk_item_error: Option<(u16, &'static str)>,
}

impl Default for ClusterState {
    /// An Elasticsearch 8 without permissions.
    fn default() -> Self {
        Self {
            root: elasticsearch("8.19.4"),
            authorization: None,
            denied: BTreeSet::new(),
            full: false,
            indices: BTreeMap::new(),
            aliases: BTreeMap::new(),
            scrolls: BTreeMap::new(),
            scroll_count: 0,
            bulk_item_error: None,
        }
    }
}

/// The response of `GET /` of an Elasticsearch.
#[must_use]
pub fn elasticsearch(version: &str) -> Value {
    json!({ "name": "n1", "cluster_name": "fake", "version": { "number": version }, "tagline": "You Know, for Search" })
}

/// The response of `GET /` of an OpenSearch.
#[must_use]
pub fn opensearch(version: &str) -> Value {
    json!({
        "name": "n1", "cluster_name": "fake", "version": { "distribution": "opensearch", "number": version },
        "tagline": "The OpenSearch Project: https://opensearch.org/",
    })
}

impl ClusterState {
    /// Returns the index behind a name.
    ///
    /// # Panics
    ///
    /// Panics when there is none, or more than one.
    pub fn index(&mut self, name: &str) -> &mut FakeIndex {
        self.resolve(name).expect("the index exists")
    }

    /// Lists the names of all indices.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.indices.keys().map(String::as_str).collect()
    }

    /// Returns how many scrolls are open.
    #[must_use]
    pub fn open_scrolls(&self) -> usize {
        self.scrolls.len()
    }

    /// Removes an index with its aliases, as an operator would.
    pub fn remove(&mut self, name: &str) {
        let behind = self.index(name).name.clone();
        self.indices.remove(&behind);
        self.aliases.retain(|_, indices| {
            indices.remove(&behind);
            !indices.is_empty()
        });
    }

    /// Adds an alias of an index.
    pub fn alias(&mut self, alias: &str, index: &str) {
        self.aliases.entry(alias.to_owned()).or_default().insert(index.to_owned());
    }

    /// Creates an index with its aliases.
    pub fn create(&mut self, name: &str, body: &Value) -> FakeResponse {
        self.try_create(name, body).unwrap_or_else(|error| error)
    }

    fn try_create(&mut self, name: &str, body: &Value) -> Result<FakeResponse, FakeResponse> {
        index_settings::check_name(name)?;
        if self.indices.contains_key(name) || self.aliases.contains_key(name) {
            let reason = format!("index [{name}/uuid] already exists");
            return Err(FakeResponse::error(400, "resource_already_exists_exception", &reason));
        }
        let parts = ["settings", "mappings", "aliases"];
        if let Some((part, _)) =
            body.as_object().into_iter().flatten().find(|(part, _)| !parts.contains(&part.as_str()))
        {
            let reason = format!("unknown key [{part}] for create index");
            return Err(FakeResponse::error(400, "parse_exception", &reason));
        }
        let (settings, mappings) =
            (index_settings::parse_settings(body)?, index_settings::parse_mappings(body)?);
        let aliases = body.get("aliases").and_then(Value::as_object).cloned().unwrap_or_default();
        for alias in aliases.keys() {
            index_settings::check_name(alias)?;
            if self.indices.contains_key(alias) || alias == name {
                let reason =
                    format!("Invalid alias name [{alias}]: an index exists with the same name as the alias");
                return Err(FakeResponse::error(400, "invalid_alias_name_exception", &reason));
            }
        }
        self.indices.insert(name.to_owned(), FakeIndex::new(name, mappings, settings));
        for alias in aliases.keys() {
            self.alias(alias, name);
        }
        Ok(FakeResponse::ok(&json!({ "acknowledged": true, "shards_acknowledged": true, "index": name })))
    }

    pub(crate) fn serve(&mut self, http_request: &HttpRequest<'_>) -> FakeResponse {
        if let Some(wanted) = self.authorization.as_deref()
            && http_request.authorization != Some(wanted)
        {
            return FakeResponse::error(
                401,
                "security_exception",
                "unable to authenticate user for REST request",
            );
        }
        if let Err(error) = http_request.check_content_type() {
            return error;
        }
        let segments = http_request.path_segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match self.route(http_request.method, &segments, &http_request.params()) {
            Ok(response) | Err(response) => response,
        }
    }

    fn route(
        &mut self,
        method: &str,
        segments: &[&str],
        params: &ApiParams<'_>,
    ) -> Result<FakeResponse, FakeResponse> {
        match (method, segments) {
            ("GET", [""]) => {
                self.check_permission("cluster:monitor/main", &[], params)?;
                Ok(FakeResponse::ok(&self.root))
            }
            ("POST", ["_search", "scroll"]) => self.next_scroll_page(params),
            ("DELETE", ["_search", "scroll"]) => self.clear_scroll(params),
            ("GET", [name]) => {
                self.check_permission("indices:admin/get", &["flat_settings"], params)?;
                self.describe(name)
            }
            ("PUT", [name]) => {
                self.check_permission("indices:admin/create", &[], params)?;
                self.try_create(name, &params.json()?)
            }
            ("PUT", [name, "_mapping"]) => self.put_mapping(name, params),
            ("POST", [name, "_refresh"]) => {
                self.check_permission("indices:admin/refresh", &[], params)?;
                self.resolve(name)?.refresh();
                Ok(FakeResponse::ok(&json!({ "_shards": { "total": 2, "successful": 1, "failed": 0 } })))
            }
            ("POST", [name, "_search"]) => self.search(name, params),
            ("POST", [name, "_bulk"]) => self.bulk(name, params),
            ("GET", [name, "_doc", id]) => {
                self.check_permission("indices:data/read/get", &[], params)?;
                Ok(self.resolve(name)?.get(id))
            }
            // A creation has a condition already, and accepts no other.
            ("PUT", [name, "_create", id]) => self.put(name, id, WriteCondition::Absent, &[], params),
            ("PUT", [name, "_doc", id]) => {
                self.put(name, id, params.write_condition()?, &["if_seq_no", "if_primary_term"], params)
            }
            ("DELETE", [name, "_doc", id]) => {
                self.check_permission(
                    "indices:data/write/delete",
                    &["if_seq_no", "if_primary_term"],
                    params,
                )?;
                if self.full {
                    return Err(FakeResponse::full_disk(name));
                }
                Ok(self.resolve(name)?.delete(id, params.write_condition()?))
            }
            _ => {
                let reason =
                    format!("no handler found for uri [/{}] and method [{method}]", segments.join("/"));
                Err(FakeResponse::untyped_error(400, &reason))
            }
        }
    }

    /// Refuses a denied action, and unknown parameters.
    fn check_permission(
        &self,
        action: &str,
        parameters: &[&str],
        params: &ApiParams<'_>,
    ) -> Result<(), FakeResponse> {
        if self.denied.contains(action) {
            let reason = format!("action [{action}] is unauthorized for user [scheduler]");
            return Err(FakeResponse::error(403, "security_exception", &reason));
        }
        match params.query.keys().find(|name| !parameters.contains(&name.as_str())) {
            Some(name) => Err(FakeResponse::illegal_argument(&format!(
                "request contains unrecognized parameter: [{name}]"
            ))),
            None => Ok(()),
        }
    }

    /// Tells whether writes can require an alias: since Elasticsearch 7.10.
    fn has_require_alias(&self) -> bool {
        let version = &self.root["version"];
        let mut numbers =
            version["number"].as_str().unwrap_or_default().split('.').map(|part| part.parse::<u32>().ok());
        version["distribution"] == "opensearch"
            || (numbers.next().flatten(), numbers.next().flatten()) >= (Some(7), Some(10))
    }

    fn resolve(&mut self, name: &str) -> Result<&mut FakeIndex, FakeResponse> {
        let behind = match self.aliases.get(name) {
            None => name.to_owned(),
            Some(indices) if indices.len() == 1 => indices.first().expect("there is one").clone(),
            Some(_) => {
                return Err(FakeResponse::illegal_argument(&format!(
                    "alias [{name}] has more than one index associated with it"
                )));
            }
        };
        self.indices.get_mut(&behind).ok_or_else(|| FakeResponse::missing_index(name))
    }

    fn describe(&self, name: &str) -> Result<FakeResponse, FakeResponse> {
        let names = self.aliases.get(name).cloned().unwrap_or_else(|| BTreeSet::from([name.to_owned()]));
        let mut described = Map::new();
        for concrete in &names {
            let index = self.indices.get(concrete).ok_or_else(|| FakeResponse::missing_index(name))?;
            let aliases = self.aliases.iter().filter(|(_, indices)| indices.contains(concrete));
            let aliases: Map<String, Value> = aliases.map(|(alias, _)| (alias.clone(), json!({}))).collect();
            let index = json!({ "aliases": aliases, "mappings": index.mappings, "settings": index.settings });
            described.insert(concrete.clone(), index);
        }
        Ok(FakeResponse::ok(&Value::Object(described)))
    }

    fn put_mapping(&mut self, name: &str, params: &ApiParams<'_>) -> Result<FakeResponse, FakeResponse> {
        self.check_permission("indices:admin/mapping/put", &[], params)?;
        if self.full {
            return Err(FakeResponse::full_disk(name));
        }
        let changes = params.json()?.as_object().cloned().unwrap_or_default();
        self.resolve(name)?.mappings.extend(index_settings::check_mappings(changes)?);
        Ok(FakeResponse::ok(&json!({ "acknowledged": true })))
    }

    fn put(
        &mut self,
        name: &str,
        id: &str,
        condition: WriteCondition,
        parameters: &[&str],
        params: &ApiParams<'_>,
    ) -> Result<FakeResponse, FakeResponse> {
        let mut parameters = parameters.to_vec();
        parameters.extend(self.has_require_alias().then_some("require_alias"));
        self.check_permission("indices:data/write/index", &parameters, params)?;
        if self.full {
            return Err(FakeResponse::full_disk(name));
        }
        if params.query.get("require_alias").is_some_and(|value| value == "true")
            && !self.aliases.contains_key(name)
        {
            let reason = format!(
                "no such index [{name}] and [require_alias] request flag is [true] and [{name}] is not an alias"
            );
            return Err(FakeResponse::error(404, "index_not_found_exception", &reason));
        }
        if !self.indices.contains_key(name) && !self.aliases.contains_key(name) {
            // A write creates the index: `action.auto_create_index`.
            self.try_create(name, &json!({}))?;
        }
        Ok(self.resolve(name)?.put(id, params.body, condition))
    }

    /// Removes documents. Each item has its own result, and the request as a whole succeeds.
    ///
    /// Source: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html>
    fn bulk(&mut self, name: &str, params: &ApiParams<'_>) -> Result<FakeResponse, FakeResponse> {
        self.check_permission("indices:data/write/bulk", &[], params)?;
        if !params.body.ends_with('\n') {
            return Err(FakeResponse::illegal_argument(
                "The bulk request must be terminated by a newline [\\n]",
            ));
        }
        let mut items = Vec::new();
        for line in params.body.lines() {
            let action: Value = serde_json::from_str(line)
                .map_err(|error| FakeResponse::illegal_argument(&error.to_string()))?;
            let Some(id) = action["delete"]["_id"].as_str() else {
                return Err(FakeResponse::illegal_argument("Malformed action/metadata line"));
            };
            let response = match self.bulk_item_error.take() {
                Some((status, kind)) => FakeResponse::error(status, kind, "injected by the test"),
                None if self.full => FakeResponse::full_disk(name),
                None => self
                    .resolve(name)
                    .map_or_else(|error| error, |index| index.delete(id, WriteCondition::Unconditional)),
            };
            let mut item = response.json();
            item["status"] = response.status.into();
            items.push(json!({ "delete": item }));
        }
        let errors = items.iter().any(|item| item["delete"].get("error").is_some());
        Ok(FakeResponse::ok(&json!({ "took": 1, "errors": errors, "items": items })))
    }

    fn search(&mut self, name: &str, params: &ApiParams<'_>) -> Result<FakeResponse, FakeResponse> {
        self.check_permission(
            "indices:data/read/search",
            &["scroll", "allow_partial_search_results"],
            params,
        )?;
        let scrolling = params.query.contains_key("scroll");
        if scrolling && self.scrolls.len() >= MAX_OPEN_SCROLLS {
            let reason = "Trying to create too many scroll contexts. Must be less than or equal to: [500].";
            return Err(FakeResponse::error(429, "too_many_scroll_contexts_exception", reason));
        }
        let body = params.json()?;
        let (mut response, scroll) = search(self.resolve(name)?, &body, scrolling)?;
        if let Some(scroll) = scroll {
            self.scroll_count += 1;
            let id = format!("scroll-{}", self.scroll_count);
            response["_scroll_id"] = id.clone().into();
            self.scrolls.insert(id, scroll);
        }
        Ok(FakeResponse::ok(&response))
    }

    /// Returns the next page. A repeated request returns the page after it, even when the first response was lost.
    fn next_scroll_page(&mut self, params: &ApiParams<'_>) -> Result<FakeResponse, FakeResponse> {
        self.check_permission("indices:data/read/scroll", &[], params)?;
        let body = params.json()?;
        let id = body["scroll_id"].as_str().unwrap_or_default();
        let scroll = self.scrolls.get_mut(id);
        let scroll = scroll.ok_or_else(|| {
            FakeResponse::error(404, "search_context_missing_exception", "No search context found")
        })?;
        let mut response = scroll.next_page();
        response["_scroll_id"] = id.into();
        Ok(FakeResponse::ok(&response))
    }

    fn clear_scroll(&mut self, params: &ApiParams<'_>) -> Result<FakeResponse, FakeResponse> {
        self.check_permission("indices:data/read/scroll/clear", &[], params)?;
        let body = params.json()?;
        let ids = body["scroll_id"].as_array().cloned().unwrap_or_default();
        let freed =
            ids.iter().filter(|id| self.scrolls.remove(id.as_str().unwrap_or_default()).is_some()).count();
        let status = if freed > 0 { 200 } else { 404 };
        Ok(FakeResponse::new(status, json!({ "succeeded": true, "num_freed": freed }).to_string()))
    }
}
