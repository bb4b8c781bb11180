//! The REST calls that are used, and nothing of what they are used for.
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
use crate::open::Patience;
use crate::transport::{Answer, Call, Wire};

pub(crate) use indices::{IndexState, ProductVersion};

/// What stays as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The most documents that one request removes.
pub(crate) const AT_ONCE: usize = 1_000;

/// The place of a change in its shard's history: what compare-and-set compares.
///
/// # Source
///
/// <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/optimistic-concurrency-control.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Position {
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq_no, self.primary_term)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (seq_no, primary_term) = text.split_once('.').ok_or(())?;
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self { seq_no: number(seq_no)?, primary_term: number(primary_term)? })
    }
}

/// An index, or an alias of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// Whether a write must find an alias, so that none makes an index anew that is gone.
    pub(crate) alias: bool,
}

impl Target {
    fn path(&self, rest: &str) -> String {
        format!("/{}/{rest}", escape(&self.name))
    }

    fn guard(&self) -> &'static str {
        if self.alias { "&require_alias=true" } else { "" }
    }
}

/// A document as it was read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) position: Position,
    /// Nothing when the index does not keep it.
    pub(crate) source: Option<Box<RawValue>>,
}

/// What a conditional change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// It is done; where it stands now.
    Done(Position),
    /// The condition does not hold. It may be an earlier try of this very change, whose answer was lost, that made it so.
    Conflict,
}

/// The calls.
#[derive(Debug)]
pub(crate) struct Api {
    wire: Wire,
}

impl Api {
    pub(crate) fn new(cluster: &Cluster, patience: Patience) -> Result<Self, StoreError> {
        Ok(Self { wire: Wire::new(cluster, patience)? })
    }

    /// Reads a document as the last acknowledged write left it, refreshed or not.
    pub(crate) async fn get(
        &self,
        target: &Target,
        id: &str,
        aim: String,
    ) -> Result<Option<Found>, StoreError> {
        let call = get(target.path(&format!("_doc/{}", escape(id))), aim);
        let answer = self.wire.send(&call).await?;
        match answer.status {
            StatusCode::OK => {
                #[derive(Deserialize)]
                struct Body {
                    #[serde(rename = "_seq_no")]
                    seq_no: u64,
                    #[serde(rename = "_primary_term")]
                    primary_term: u64,
                    #[serde(rename = "_source")]
                    source: Option<Box<RawValue>>,
                }
                let Body { seq_no, primary_term, source } = read(&call, &answer)?;
                Ok(Some(Found { position: Position { seq_no, primary_term }, source }))
            }
            StatusCode::NOT_FOUND if says_not_found(&answer) => Ok(None),
            _ => Err(error::refused(&call, &answer)),
        }
    }

    /// Writes a document if it stands at `expected`, or, without that, if there is none.
    pub(crate) async fn put(
        &self,
        target: &Target,
        id: &str,
        source: String,
        expected: Option<Position>,
        aim: String,
    ) -> Result<Changed, StoreError> {
        let id = escape(id);
        let path = match expected {
            None => format!("_create/{id}?{}", target.guard().trim_start_matches('&')),
            Some(expected) => format!("_doc/{id}?{}{}", condition(expected), target.guard()),
        };
        let path = target.path(path.trim_end_matches('?'));
        self.change(Call { method: Method::PUT, path, body: source, aim }).await
    }

    /// Removes a document if it stands at `expected`.
    pub(crate) async fn delete(
        &self,
        target: &Target,
        id: &str,
        expected: Position,
        aim: String,
    ) -> Result<Changed, StoreError> {
        let path = target.path(&format!("_doc/{}?{}", escape(id), condition(expected)));
        self.change(Call { method: Method::DELETE, path, body: String::new(), aim }).await
    }

    async fn change(&self, call: Call) -> Result<Changed, StoreError> {
        let answer = self.wire.send(&call).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => Ok(Changed::Done(read(&call, &answer)?)),
            StatusCode::CONFLICT => Ok(Changed::Conflict),
            _ => Err(error::refused(&call, &answer)),
        }
    }

    /// Removes documents whatever they hold, whether they exist or not; at most [`AT_ONCE`].
    pub(crate) async fn delete_all(
        &self,
        target: &Target,
        ids: &[String],
        aim: String,
    ) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Body {
            items: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            delete: Outcome,
        }
        #[derive(Deserialize)]
        struct Outcome {
            status: u16,
            error: Option<Box<RawValue>>,
        }
        let line = |id: &String| format!("{}\n", json!({ "delete": { "_id": id } }));
        let body = ids.iter().map(line).collect();
        let call = Call { method: Method::POST, path: target.path("_bulk"), body, aim };
        let answer = self.wire.send(&call).await?;
        let Body { items } = self.expect(&call, &answer)?;
        let failed =
            items.into_iter().map(|item| item.delete).find(|item| !matches!(item.status, 200..=299 | 404));
        let Some(failed) = failed else { return Ok(()) };
        let body = failed.error.map_or_else(String::new, |error| format!("{{\"error\":{error}}}"));
        let status = StatusCode::from_u16(failed.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Err(error::refused(&call, &Answer { status, body: body.into_bytes(), repeated: false }))
    }

    /// Sends a request that only 200 answers.
    async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, StoreError> {
        let answer = self.wire.send(call).await?;
        self.expect(call, &answer)
    }

    fn expect<T: DeserializeOwned>(&self, call: &Call, answer: &Answer) -> Result<T, StoreError> {
        if answer.status == StatusCode::OK { read(call, answer) } else { Err(error::refused(call, answer)) }
    }
}

fn get(path: String, aim: String) -> Call {
    Call { method: Method::GET, path, body: String::new(), aim }
}

fn post(path: String, body: &impl Serialize, aim: String) -> Call {
    let body = serde_json::to_string(body).expect("it is JSON");
    Call { method: Method::POST, path, body, aim }
}

fn read<T: DeserializeOwned>(call: &Call, answer: &Answer) -> Result<T, StoreError> {
    serde_json::from_slice(&answer.body).map_err(|error| error::strange(call, error))
}

fn escape(part: &str) -> String {
    utf8_percent_encode(part, PATH).to_string()
}

fn condition(expected: Position) -> String {
    format!("if_seq_no={}&if_primary_term={}", expected.seq_no, expected.primary_term)
}

/// Tells a document that is not there from an index that is not there.
fn says_not_found(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Body {
        found: bool,
    }
    serde_json::from_slice(&answer.body).is_ok_and(|Body { found }| !found)
}
