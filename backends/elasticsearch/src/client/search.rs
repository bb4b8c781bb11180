//! Searches: each listing refreshes the index first, and fails when a shard is missing.
//!
//! A search sees the writes before the last refresh, so a refresh makes every acknowledged write visible. Scrolls exist in
//! every version since Elasticsearch 7.0 and OpenSearch 1.0; points in time have another name in each product and are
//! missing in the oldest versions. A scroll advances with each request, so a page whose response was lost cannot be read
//! again: the listing must start over.
//!
//! # Source
//!
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/near-real-time.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/paginate-search-results.html>

use ecs_scheduler_core::{FaultKind, StoreError};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DocPosition, IndexTarget, RestClient, post};
use crate::error::unexpected_response;
use crate::message::{ApiRequest, ErrorBody};

/// How long the cluster keeps a scroll between two requests.
const SCROLL_TTL: &str = "1m";

/// The `_shards` object of a response.
#[derive(Deserialize)]
struct ShardCounts {
    failed: u64,
}

/// The response of a search.
#[derive(Deserialize)]
struct SearchJson {
    #[serde(rename = "_shards")]
    shards: ShardCounts,
    timed_out: bool,
    hits: SearchHits,
    #[serde(rename = "_scroll_id")]
    scroll: Option<String>,
}

/// The `hits` object of a search.
#[derive(Deserialize)]
struct SearchHits {
    hits: Vec<SearchHit>,
}

/// One document of a search.
#[derive(Deserialize)]
struct SearchHit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_seq_no")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<u64>,
}

/// A page of a scroll.
#[derive(Debug)]
pub(crate) struct ScrollPage {
    /// The ids of the documents with their positions.
    pub(crate) docs: Vec<(String, DocPosition)>,
    /// The id of the scroll.
    pub(crate) scroll: String,
}

impl RestClient {
    /// Makes every acknowledged write visible to searches.
    pub(crate) async fn refresh(&self, target: &IndexTarget, action: String) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct RefreshJson {
            #[serde(rename = "_shards")]
            shards: ShardCounts,
        }
        let request =
            ApiRequest { method: Method::POST, path: target.path("_refresh"), body: String::new(), action };
        let RefreshJson { shards } = self.send_expecting_ok(&request).await?;
        if shards.failed > 0 { Err(incomplete(&request, &shards)) } else { Ok(()) }
    }

    /// Lists at most `limit` ids in the order of a keyword field, behind a value of it. The field must hold the id.
    pub(crate) async fn list_ids_after(
        &self,
        target: &IndexTarget,
        field: &str,
        after: &str,
        limit: usize,
        action: String,
    ) -> Result<Vec<String>, StoreError> {
        let query = json!({
            "size": limit,
            "_source": false,
            "track_total_hits": false,
            "query": { "range": { field: { "gt": after } } },
            "sort": [{ field: "asc" }],
        });
        let path = target.path("_search?allow_partial_search_results=false");
        let body = self.search(&post(path, &query, action)).await?;
        Ok(body.hits.hits.into_iter().map(|hit| hit.id).collect())
    }

    /// Starts a scroll over all documents.
    pub(crate) async fn start_scroll(
        &self,
        target: &IndexTarget,
        limit: usize,
        action: String,
    ) -> Result<ScrollPage, StoreError> {
        let query = json!({
            "size": limit,
            "_source": false,
            "seq_no_primary_term": true,
            "sort": ["_doc"],
        });
        let path = target.path(&format!("_search?scroll={SCROLL_TTL}&allow_partial_search_results=false"));
        let request = post(path, &query, action);
        let body = self.search(&request).await?;
        scroll_page(&request, body)
    }

    /// Reads the next page of a scroll; an empty page is the last. Returns nothing when a page may have been skipped, or when
    /// the scroll has expired, as after the loss of a node: the listing must start over.
    pub(crate) async fn next_scroll_page(
        &self,
        scroll: &str,
        action: String,
    ) -> Result<Option<ScrollPage>, StoreError> {
        let request =
            post("/_search/scroll".to_owned(), &json!({ "scroll": SCROLL_TTL, "scroll_id": scroll }), action);
        let response = self.transport.send(&request).await?;
        let is_expired = response.status == StatusCode::NOT_FOUND
            && ErrorBody::parse(&response.body).kind == "search_context_missing_exception";
        if response.is_repeated || is_expired {
            return Ok(None);
        }
        let body = check_complete(&request, Self::expect_ok(&request, &response)?)?;
        scroll_page(&request, body).map(Some)
    }

    /// Frees a scroll. An error is only logged, since the scroll expires.
    pub(crate) async fn clear_scroll(&self, scroll: &str, action: String) {
        let request = post("/_search/scroll".to_owned(), &json!({ "scroll_id": [scroll] }), action);
        let request = ApiRequest { method: Method::DELETE, ..request };
        if let Err(error) = self.send_expecting_ok::<Value>(&request).await {
            tracing::debug!(%error, "could not free a scroll; it expires");
        }
    }

    async fn search(&self, request: &ApiRequest) -> Result<SearchJson, StoreError> {
        check_complete(request, self.send_expecting_ok(request).await?)
    }
}

fn check_complete(request: &ApiRequest, body: SearchJson) -> Result<SearchJson, StoreError> {
    if body.shards.failed > 0 || body.timed_out { Err(incomplete(request, &body.shards)) } else { Ok(body) }
}

fn incomplete(request: &ApiRequest, shards: &ShardCounts) -> StoreError {
    let message = format!(
        "could not {}: {} shards gave no answer; check that all shards of the index are assigned",
        request.action, shards.failed
    );
    StoreError::fault(FaultKind::Unavailable, message)
}

fn scroll_page(request: &ApiRequest, body: SearchJson) -> Result<ScrollPage, StoreError> {
    let unexpected = |problem| unexpected_response(request, problem);
    let scroll = body.scroll.ok_or_else(|| unexpected("the response has no _scroll_id"))?;
    let position = |hit: SearchHit| {
        let numbers = hit.seq_no.zip(hit.primary_term);
        let (seq_no, primary_term) = numbers.ok_or_else(|| unexpected("a hit has no _seq_no"))?;
        Ok((hit.id, DocPosition { seq_no, primary_term }))
    };
    let docs = body.hits.hits.into_iter().map(position).collect::<Result<_, StoreError>>()?;
    Ok(ScrollPage { docs, scroll })
}
