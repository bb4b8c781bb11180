//! The tokens in the store, and the part of them that a process knows.
//!
//! A process reads the register when a token is presented and its own knowledge is older than half a second. So a token that is
//! revoked by one replica is refused by all of them within a second, an idle server reads nothing, and requests with wrong tokens
//! cause no further reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Clock, FaultKind, Labels, Store, StoreError, Timestamp, fault};
use jiff::SignedDuration;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::scope::Scope;
use super::token::{self, AccessToken, NewAccessToken};

/// The register of all tokens.
const REGISTER: &str = "access/tokens";
/// The register of the hours in which tokens were last used.
const USE_REGISTER: &str = "access/token-use";
/// The maximum age of the tokens that a process knows.
const MAX_AGE: Duration = Duration::from_millis(500);
/// The maximum size of the register of tokens, in bytes: some hundred tokens. An item of DynamoDB has 400 KiB.
const MAX_BYTES: usize = 128 * 1024;
/// The number of attempts at a write after concurrent ones.
const MAX_ATTEMPTS: usize = 5;
/// How long an expired token stays in lists.
const KEEP_EXPIRED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The precision of the last use, in seconds.
const HOUR: i64 = 3_600;
/// The id of the token of the file on the machine of the server. No stored token has it.
const BOOTSTRAP: &str = "bootstrap";

/// The tokens of a store.
#[derive(Debug)]
pub struct TokenRegister {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<KnownTokens>>,
    /// Held while one request reads the register for all that wait.
    reading: tokio::sync::Mutex<()>,
    uses: Mutex<Uses>,
    /// A token of this process only.
    bootstrap: Option<Arc<AccessToken>>,
}

/// The tokens at a moment.
#[derive(Debug, Clone)]
struct KnownTokens {
    tokens: Arc<HashMap<String, Arc<AccessToken>>>,
    /// A moment before they were read.
    at: Instant,
}

/// The last uses of tokens, as hours since 1970.
#[derive(Debug, Default)]
struct Uses {
    /// Those that this process has written, or is about to.
    noted: HashMap<String, i64>,
    /// Those that are to be written.
    pending: BTreeMap<String, i64>,
    is_writing: bool,
}

/// The value of the register.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredTokens {
    tokens: Vec<AccessToken>,
}

/// The result of the check of a token.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is valid.
    Valid(Arc<AccessToken>),
    /// It was valid until then.
    Expired(Timestamp),
    /// It is none, or was revoked.
    Unknown,
}

/// Why a token was not created.
#[derive(Debug)]
pub(crate) enum TokenError {
    /// There is no room for another one.
    Full,
    /// The store could not be read or written.
    Store(StoreError),
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl TokenRegister {
    /// Uses the tokens in the registers of a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            known: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            uses: Mutex::default(),
            bootstrap: None,
        }
    }

    /// Also accepts a token with the scope `admin` that no store has, and returns its text.
    pub(crate) fn add_bootstrap(&mut self) -> String {
        let new = NewAccessToken {
            name: BOOTSTRAP.to_owned(),
            scopes: [Scope::Admin].into(),
            labels: Labels::new(),
            expires: None,
        };
        let (token, text) = AccessToken::with_id(BOOTSTRAP.to_owned(), new, self.clock.now());
        self.bootstrap = Some(Arc::new(token));
        text
    }

    /// Checks a token that a client presents, and notes its use.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read: a revoked token must not pass.
    pub(crate) async fn verify(self: &Arc<Self>, text: &str) -> Result<Verdict, StoreError> {
        let Some((id, secret)) = token::split(text) else { return Ok(Verdict::Unknown) };
        let Some(token) = self.find(id).await?.filter(|token| token.is_secret(secret)) else {
            return Ok(Verdict::Unknown);
        };
        let now = self.clock.now();
        if let Some(expires) = token.expires.filter(|_| token.is_expired(now)) {
            return Ok(Verdict::Expired(expires));
        }
        self.note_use(&token.id, now);
        Ok(Verdict::Valid(token))
    }

    /// Tells whether a token that was valid still is. One that cannot be checked is not.
    pub(crate) async fn is_valid(&self, token: &AccessToken) -> bool {
        let found = self.find(&token.id).await;
        found.is_ok_and(|found| found.is_some_and(|found| *found == *token))
            && !token.is_expired(self.clock.now())
    }

    async fn find(&self, id: &str) -> Result<Option<Arc<AccessToken>>, StoreError> {
        match &self.bootstrap {
            Some(own) if own.id == id => Ok(Some(Arc::clone(own))),
            _ => Ok(self.known().await?.get(id).cloned()),
        }
    }

    /// Returns the tokens, at most [`MAX_AGE`] old.
    async fn known(&self) -> Result<Arc<HashMap<String, Arc<AccessToken>>>, StoreError> {
        if let Some(tokens) = self.fresh() {
            return Ok(tokens);
        }
        let _only = self.reading.lock().await;
        if let Some(tokens) = self.fresh() {
            return Ok(tokens);
        }
        let at = Instant::now();
        let (stored, _) = self.read().await?;
        let tokens = stored.tokens.into_iter().map(|token| (token.id.clone(), Arc::new(token)));
        let tokens = Arc::new(tokens.collect::<HashMap<_, _>>());
        *self.known.lock() = Some(KnownTokens { tokens: Arc::clone(&tokens), at });
        Ok(tokens)
    }

    fn fresh(&self) -> Option<Arc<HashMap<String, Arc<AccessToken>>>> {
        let known = self.known.lock();
        known.as_ref().filter(|known| known.at.elapsed() < MAX_AGE).map(|known| Arc::clone(&known.tokens))
    }

    async fn read(&self) -> Result<(StoredTokens, Option<u64>), StoreError> {
        let Some(register) = self.store.get_register(REGISTER).await? else { return Ok(Default::default()) };
        let stored = serde_json::from_str(&register.value).map_err(|error| {
            StoreError::with_source(FaultKind::Bug, "could not read the register of access tokens", error)
        })?;
        Ok((stored, Some(register.version)))
    }

    /// Creates a token, and returns it with its text, which is stored nowhere.
    ///
    /// # Errors
    ///
    /// Fails when there is no room for it, or the store cannot be written.
    pub(crate) async fn create(&self, new: NewAccessToken) -> Result<(AccessToken, String), TokenError> {
        let now = self.clock.now();
        let (token, text) = AccessToken::generate(new, now);
        let is_kept = |token: &AccessToken| {
            token.expires.is_none_or(|expires| now.duration_since(expires) < KEEP_EXPIRED)
        };
        let change = |stored: &mut StoredTokens| {
            stored.tokens.retain(is_kept);
            stored.tokens.push(token.clone());
            true
        };
        self.change(change).await?;
        Ok((token, text))
    }

    /// Revokes a token; returns false if there is no such token.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, TokenError> {
        let change = |stored: &mut StoredTokens| {
            let before = stored.tokens.len();
            stored.tokens.retain(|token| token.id != id);
            stored.tokens.len() < before
        };
        self.change(change).await
    }

    /// Applies a change that tells whether it changed anything, and writes the result.
    async fn change(&self, change: impl Fn(&mut StoredTokens) -> bool) -> Result<bool, TokenError> {
        for attempt in 1.. {
            let (mut stored, version) = self.read().await?;
            let before = stored.tokens.len();
            if !change(&mut stored) {
                return Ok(false);
            }
            let value = serde_json::to_string(&stored).expect("tokens are plain data");
            if value.len() > MAX_BYTES && stored.tokens.len() >= before {
                return Err(TokenError::Full);
            }
            match self.store.put_register(REGISTER, &value, version, None).await {
                Err(StoreError::Conflict(_)) if attempt < MAX_ATTEMPTS => {}
                written => {
                    // Also after a write without an answer, the next request reads the tokens again.
                    *self.known.lock() = None;
                    return Ok(written.map(|_| true)?);
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Lists the tokens in the order of their creation, each with the begin of the hour in which it was last used.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub(crate) async fn list(&self) -> Result<Vec<(AccessToken, Option<Timestamp>)>, StoreError> {
        let (stored, _) = self.read().await?;
        let mut uses = self.read_uses().await?.0;
        for (id, hour) in &self.uses.lock().pending {
            uses.insert(id.clone(), *hour);
        }
        let with_use = |token: AccessToken| {
            let hour = uses.get(&token.id).copied();
            let at = hour.and_then(|hour| Timestamp::from_second(hour.saturating_mul(HOUR)).ok());
            (token, at)
        };
        Ok(stored.tokens.into_iter().map(with_use).collect())
    }

    /// Notes the use of a token. At most one write an hour for each token follows, and one at a time.
    fn note_use(self: &Arc<Self>, id: &str, now: Timestamp) {
        let hour = now.as_second().div_euclid(HOUR);
        if id == BOOTSTRAP {
            return;
        }
        let mut uses = self.uses.lock();
        if uses.noted.get(id) == Some(&hour) {
            return;
        }
        uses.noted.insert(id.to_owned(), hour);
        uses.pending.insert(id.to_owned(), hour);
        if !std::mem::replace(&mut uses.is_writing, true) {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.write_uses().await });
        }
    }

    /// Writes the pending uses, until there is none. A use that cannot be written is forgotten: it is for people only.
    async fn write_uses(&self) {
        loop {
            let pending = {
                let mut uses = self.uses.lock();
                if uses.pending.is_empty() {
                    uses.is_writing = false;
                    return;
                }
                uses.pending.clone()
            };
            if let Err(error) = self.write_pending(&pending).await {
                tracing::debug!(
                    error = fault::chain(&error),
                    "could not record when access tokens were last used"
                );
            }
            self.uses.lock().pending.retain(|id, hour| pending.get(id) != Some(hour));
        }
    }

    async fn write_pending(&self, pending: &BTreeMap<String, i64>) -> Result<(), StoreError> {
        for attempt in 1.. {
            let (mut uses, version) = self.read_uses().await?;
            let before = uses.clone();
            for (id, hour) in pending {
                let last = uses.entry(id.clone()).or_insert(*hour);
                *last = (*last).max(*hour);
            }
            // A use that is recorded is that of a token that is older.
            let (stored, _) = self.read().await?;
            let exists = |id: &str| stored.tokens.iter().any(|token| token.id == id);
            uses.retain(|id, _| exists(id));
            self.uses.lock().noted.retain(|id, _| exists(id));
            if uses == before {
                return Ok(());
            }
            let value = serde_json::to_string(&uses).expect("numbers are plain data");
            match self.store.put_register(USE_REGISTER, &value, version, None).await {
                Err(StoreError::Conflict(_)) if attempt < MAX_ATTEMPTS => {}
                written => return written.map(drop),
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn read_uses(&self) -> Result<(BTreeMap<String, i64>, Option<u64>), StoreError> {
        let Some(register) = self.store.get_register(USE_REGISTER).await? else {
            return Ok(Default::default());
        };
        Ok((serde_json::from_str(&register.value).unwrap_or_default(), Some(register.version)))
    }
}

#[cfg(test)]
mod tests;
