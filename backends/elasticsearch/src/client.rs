//! The REST client: the calls that the store uses.
//!
//! # Source
//!
//! <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/docs.html>,
//! <https://docs.opensearch.org/docs/latest/api-reference/document-apis/>

mod indices;
mod search;

use std::fmt;
use std::str::FromStr;

use ecs_scheduler_core::StoreError;
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::cluster::Cluster;
use crate::error;
use crate::message::{ApiRequest, ApiResponse};
use crate::timeouts::ClusterTimeouts;
use crate::transport::Transport;

pub(crate) use indices::{IndexDescription, ProductVersion};

/// The characters of a path segment that are percent-encoded.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The maximum number of documents that one request removes or lists.
pub(crate) const MAX_BATCH: usize = 1_000;

/// The position of a document's last change in the history of its shard; compare-and-set compares it.
///
/// # Source
///
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/optimistic-concurrency-control.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct DocPosition {
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
}

impl fmt::Display for DocPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq_no, self.primary_term)
    }
}

impl FromStr for DocPosition {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (seq_no, primary_term) = text.split_once('.').ok_or(())?;
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self { seq_no: number(seq_no)?, primary_term: number(primary_term)? })
    }
}

/// The name of an index, or of an alias of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexTarget {
    pub(crate) name: String,
    /// Whether writes require that the name is an alias, so that none recreates an index that is gone.
    pub(crate) is_alias: bool,
}

impl IndexTarget {
    fn path(&self, rest: &str) -> String {
        format!("/{}/{rest}", escape(&self.name))
    }

    fn require_alias(&self) -> &'static str {
        if self.is_alias { "&require_alias=true" } else { "" }
    }
}

/// A stored document.
#[derive(Debug)]
pub(crate) struct StoredDoc {
    pub(crate) position: DocPosition,
    /// Absent when the index does not keep it.
    pub(crate) source: Option<Box<RawValue>>,
}

/// The result of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PutResult {
    /// The write took effect; the document's new position.
    Written(DocPosition),
    /// The condition does not hold, perhaps because of an earlier attempt of this write whose response was lost.
    Conflict,
}

/// The REST client of a cluster.
#[derive(Debug)]
pub(crate) struct RestClient {
    transport: Transport,
}

impl RestClient {
    pub(crate) fn new(cluster: &Cluster, timeouts: ClusterTimeouts) -> Result<Self, StoreError> {
        Ok(Self { transport: Transport::new(cluster, timeouts)? })
    }

    /// Reads a document with its last acknowledged write, refreshed or not.
    pub(crate) async fn get(
        &self,
        target: &IndexTarget,
        id: &str,
        action: String,
    ) -> Result<Option<StoredDoc>, StoreError> {
        let request = get(target.path(&format!("_doc/{}", escape(id))), action);
        let response = self.transport.send(&request).await?;
        match response.status {
            StatusCode::OK => {
                #[derive(Deserialize)]
                struct GetJson {
                    #[serde(rename = "_seq_no")]
                    seq_no: u64,
                    #[serde(rename = "_primary_term")]
                    primary_term: u64,
                    #[serde(rename = "_source")]
                    source: Option<Box<RawValue>>,
                }
                let GetJson { seq_no, primary_term, source } = parse(&request, &response)?;
                Ok(Some(StoredDoc { position: DocPosition { seq_no, primary_term }, source }))
            }
            StatusCode::NOT_FOUND if is_missing_document(&response) => Ok(None),
            _ => Err(error::refused(&request, &response)),
        }
    }

    /// Writes a document if its position is `expected`; without a position, if there is no document.
    pub(crate) async fn put(
        &self,
        target: &IndexTarget,
        id: &str,
        source: String,
        expected: Option<DocPosition>,
        action: String,
    ) -> Result<PutResult, StoreError> {
        let id = escape(id);
        let path = match expected {
            None => format!("_create/{id}?{}", target.require_alias().trim_start_matches('&')),
            Some(expected) => format!("_doc/{id}?{}{}", condition(expected), target.require_alias()),
        };
        let path = target.path(path.trim_end_matches('?'));
        self.write(ApiRequest { method: Method::PUT, path, body: source, action }).await
    }

    /// Removes a document if its position is `expected`.
    pub(crate) async fn delete(
        &self,
        target: &IndexTarget,
        id: &str,
        expected: DocPosition,
        action: String,
    ) -> Result<PutResult, StoreError> {
        let path = target.path(&format!("_doc/{}?{}", escape(id), condition(expected)));
        self.write(ApiRequest { method: Method::DELETE, path, body: String::new(), action }).await
    }

    async fn write(&self, request: ApiRequest) -> Result<PutResult, StoreError> {
        let response = self.transport.send(&request).await?;
        match response.status {
            StatusCode::OK | StatusCode::CREATED => Ok(PutResult::Written(parse(&request, &response)?)),
            StatusCode::CONFLICT => Ok(PutResult::Conflict),
            _ => Err(error::refused(&request, &response)),
        }
    }

    /// Removes documents without a condition, whether they exist or not; at most [`MAX_BATCH`].
    pub(crate) async fn delete_all(
        &self,
        target: &IndexTarget,
        ids: &[String],
        action: String,
    ) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct BulkJson {
            items: Vec<BulkItem>,
        }
        #[derive(Deserialize)]
        struct BulkItem {
            delete: DeleteResult,
        }
        #[derive(Deserialize)]
        struct DeleteResult {
            status: u16,
            error: Option<Box<RawValue>>,
        }
        let line = |id: &String| format!("{}\n", json!({ "delete": { "_id": id } }));
        let body = ids.iter().map(line).collect();
        let request = ApiRequest { method: Method::POST, path: target.path("_bulk"), body, action };
        let response = self.transport.send(&request).await?;
        let BulkJson { items } = Self::expect_ok(&request, &response)?;
        let failed =
            items.into_iter().map(|item| item.delete).find(|item| !matches!(item.status, 200..=299 | 404));
        let Some(failed) = failed else { return Ok(()) };
        let body = failed.error.map_or_else(String::new, |error| format!("{{\"error\":{error}}}"));
        let status = StatusCode::from_u16(failed.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Err(error::refused(&request, &ApiResponse { status, body: body.into_bytes(), is_repeated: false }))
    }

    /// Sends a request whose only successful status is 200.
    async fn send_expecting_ok<T: DeserializeOwned>(&self, request: &ApiRequest) -> Result<T, StoreError> {
        let response = self.transport.send(request).await?;
        Self::expect_ok(request, &response)
    }

    fn expect_ok<T: DeserializeOwned>(request: &ApiRequest, response: &ApiResponse) -> Result<T, StoreError> {
        if response.status == StatusCode::OK {
            parse(request, response)
        } else {
            Err(error::refused(request, response))
        }
    }
}

fn get(path: String, action: String) -> ApiRequest {
    ApiRequest { method: Method::GET, path, body: String::new(), action }
}

fn post(path: String, body: &impl Serialize, action: String) -> ApiRequest {
    let body = serde_json::to_string(body).expect("the body is JSON");
    ApiRequest { method: Method::POST, path, body, action }
}

fn parse<T: DeserializeOwned>(request: &ApiRequest, response: &ApiResponse) -> Result<T, StoreError> {
    serde_json::from_slice(&response.body).map_err(|error| error::unexpected_response(request, error))
}

fn escape(part: &str) -> String {
    utf8_percent_encode(part, ESCAPED).to_string()
}

fn condition(expected: DocPosition) -> String {
    format!("if_seq_no={}&if_primary_term={}", expected.seq_no, expected.primary_term)
}

/// Tells whether the document is missing, and not the whole index.
fn is_missing_document(response: &ApiResponse) -> bool {
    #[derive(Deserialize)]
    struct FoundJson {
        found: bool,
    }
    serde_json::from_slice(&response.body).is_ok_and(|FoundJson { found }| !found)
}
