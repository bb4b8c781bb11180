//! Idempotency tokens of completed transactions.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::clock::later;
use crate::scope::AwsScope;
use crate::wire::Failure;

/// Lifetime of a token.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// The tokens of completed transactions. A refused transaction may be retried with the same token.
#[derive(Debug, Default)]
pub(crate) struct IdempotencyTokens {
    /// The hash of each token's request.
    known: HashMap<(AwsScope, String), u64>,
    /// In the order of completion.
    ends: VecDeque<(Timestamp, (AwsScope, String))>,
}

impl IdempotencyTokens {
    /// Tells whether a transaction is already done. Fails if its token came with another request.
    pub(crate) fn is_done(
        &mut self,
        scope: &AwsScope,
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
        match self.known.get(&(scope.clone(), token.to_owned())) {
            None => Ok(false),
            Some(known) if *known == digest(body) => Ok(true),
            Some(_) => {
                let message = "The parameters of this request are not the same as those of an earlier one with this token";
                Err(Failure::client("IdempotentParameterMismatchException", message))
            }
        }
    }

    /// Stores the token of a completed transaction.
    pub(crate) fn remember(&mut self, scope: &AwsScope, token: String, body: &Value, now: Timestamp) {
        let token = (scope.clone(), token);
        self.ends.push_back((later(now, TOKEN_LIFETIME), token.clone()));
        self.known.insert(token, digest(body));
    }
}

/// Hashes a request.
fn digest(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
