//! Tokens of transactions that were done.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::clock::later;
use crate::scope::Place;
use crate::wire::Failure;

/// How long a token is remembered.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const REMEMBERED: SignedDuration = SignedDuration::from_mins(10);

/// See the module. A transaction that was refused may be tried again with the same token.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// What was asked with each, as a hash.
    known: HashMap<(Place, String), u64>,
    /// In the order of their ends.
    ends: VecDeque<(Timestamp, (Place, String))>,
}

impl Tokens {
    /// Tells whether a transaction is done already; fails when its token came with another one.
    pub(crate) fn knows(
        &mut self,
        place: &Place,
        token: &str,
        body: &Value,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        while let Some((end, _)) = self.ends.front()
            && *end <= now
            && let Some((_, token)) = self.ends.pop_front()
        {
            self.known.remove(&token);
        }
        match self.known.get(&(place.clone(), token.to_owned())) {
            None => Ok(false),
            Some(known) if *known == digest(body) => Ok(true),
            Some(_) => {
                let message = "The parameters of this request are not the same as those of an earlier one with this token";
                Err(Failure::client("IdempotentParameterMismatchException", message))
            }
        }
    }

    /// Remembers a transaction that was done.
    pub(crate) fn keep(&mut self, place: &Place, token: String, body: &Value, now: Timestamp) {
        let token = (place.clone(), token);
        self.ends.push_back((later(now, REMEMBERED), token.clone()));
        self.known.insert(token, digest(body));
    }
}

/// Hashes a request.
fn digest(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
