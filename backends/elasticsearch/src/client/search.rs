//! Searching: only after a refresh, and never with a shard missing.
//!
//! A search sees what was written before the last refresh, so each listing refreshes first; what was acknowledged by then is
//! found. Scrolling is what every version from Elasticsearch 7.0 and OpenSearch 1.0 on has; points in time have another
//! name in either and are missing in the oldest. A scroll moves on whenever it is asked, so a page whose answer was lost is
//! not to be had again: whoever lists begins anew.
//!
//! # Source
//!
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/near-real-time.html>,
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/paginate-search-results.html>

use ecs_scheduler_core::{FaultKind, StoreError};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Position, Target, post};
use crate::error::Said;
use crate::transport::Call;

/// How long a scroll lives between two of its pages.
const SCROLL: &str = "1m";

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "_shards")]
    shards: Shards,
    timed_out: bool,
    hits: Hits,
    #[serde(rename = "_scroll_id")]
    scroll: Option<String>,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_seq_no")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<u64>,
}

/// Some documents of a scroll.
#[derive(Debug)]
pub(crate) struct Page {
    /// Their ids, and where they stand.
    pub(crate) found: Vec<(String, Position)>,
    /// Names the scroll.
    pub(crate) scroll: String,
}

impl Api {
    /// Makes everything that was acknowledged visible to searches.
    pub(crate) async fn refresh(&self, target: &Target, aim: String) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Refreshed {
            #[serde(rename = "_shards")]
            shards: Shards,
        }
        let call = Call { method: Method::POST, path: target.path("_refresh"), body: String::new(), aim };
        let Refreshed { shards } = self.ask(&call).await?;
        if shards.failed > 0 { Err(incomplete(&call, &shards)) } else { Ok(()) }
    }

    /// Lists ids in the order of a keyword field, behind a value of it; at most `limit`. The field must hold the id.
    pub(crate) async fn ids_after(
        &self,
        target: &Target,
        field: &str,
        after: &str,
        limit: usize,
        aim: String,
    ) -> Result<Vec<String>, StoreError> {
        let query = json!({
            "size": limit,
            "_source": false,
            "track_total_hits": false,
            "query": { "range": { field: { "gt": after } } },
            "sort": [{ field: "asc" }],
        });
        let path = target.path("_search?allow_partial_search_results=false");
        let body = self.search(&post(path, &query, aim)).await?;
        Ok(body.hits.hits.into_iter().map(|hit| hit.id).collect())
    }

    /// Begins to list all documents.
    pub(crate) async fn scroll(
        &self,
        target: &Target,
        limit: usize,
        aim: String,
    ) -> Result<Page, StoreError> {
        let query = json!({
            "size": limit,
            "_source": false,
            "seq_no_primary_term": true,
            "sort": ["_doc"],
        });
        let path = target.path(&format!("_search?scroll={SCROLL}&allow_partial_search_results=false"));
        let call = post(path, &query, aim);
        let body = self.search(&call).await?;
        page(&call, body)
    }

    /// Goes on to list them; an empty page is the last. Nothing is returned when a page may have been left out or the scroll
    /// is not known any more, as after a node went: the listing must begin anew.
    pub(crate) async fn scroll_on(&self, scroll: &str, aim: String) -> Result<Option<Page>, StoreError> {
        let call = post("/_search/scroll".to_owned(), &json!({ "scroll": SCROLL, "scroll_id": scroll }), aim);
        let answer = self.wire.send(&call).await?;
        let expired = answer.status == StatusCode::NOT_FOUND
            && Said::read(&answer.body).kind == "search_context_missing_exception";
        if answer.repeated || expired {
            return Ok(None);
        }
        let body = complete(&call, self.expect(&call, &answer)?)?;
        page(&call, body).map(Some)
    }

    /// Frees what a scroll holds. That it fails is of no consequence: it frees itself.
    pub(crate) async fn scroll_off(&self, scroll: &str, aim: String) {
        let call = post("/_search/scroll".to_owned(), &json!({ "scroll_id": [scroll] }), aim);
        let call = Call { method: Method::DELETE, ..call };
        if let Err(error) = self.ask::<Value>(&call).await {
            tracing::debug!(%error, "a scroll was left to expire");
        }
    }

    async fn search(&self, call: &Call) -> Result<Body, StoreError> {
        complete(call, self.ask(call).await?)
    }
}

fn complete(call: &Call, body: Body) -> Result<Body, StoreError> {
    if body.shards.failed > 0 || body.timed_out { Err(incomplete(call, &body.shards)) } else { Ok(body) }
}

fn incomplete(call: &Call, shards: &Shards) -> StoreError {
    let message = format!(
        "could not {}: {} shards gave no answer; see that all shards of the index are there",
        call.aim, shards.failed
    );
    StoreError::fault(FaultKind::Unavailable, message)
}

fn page(call: &Call, body: Body) -> Result<Page, StoreError> {
    let strange = |what| crate::error::strange(call, what);
    let scroll = body.scroll.ok_or_else(|| strange("it names no scroll"))?;
    let position = |hit: Hit| {
        let place = hit.seq_no.zip(hit.primary_term).ok_or_else(|| strange("a hit has no _seq_no"))?;
        Ok((hit.id, Position { seq_no: place.0, primary_term: place.1 }))
    };
    let found = body.hits.hits.into_iter().map(position).collect::<Result<_, StoreError>>()?;
    Ok(Page { found, scroll })
}
