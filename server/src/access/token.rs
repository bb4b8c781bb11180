//! One access token: its text, and its hash at rest.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ecs_scheduler_core::{Labels, Timestamp};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::scope::Scope;

/// The begin of every token, by which scanners of repositories recognise it.
const PREFIX: &str = "ecss_";
/// The random bytes of an id: few enough to type, and enough for no collision among the tokens of a store.
const ID_BYTES: usize = 6;
/// The random bytes of a secret: 256 bits.
const SECRET_BYTES: usize = 32;
/// The maximum length of a token that is looked up, in bytes.
const MAX_TEXT: usize = 128;

/// An access token as the store has it: without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessToken {
    /// Its public name in lists, hexadecimal.
    pub(crate) id: String,
    /// Its purpose, in words.
    pub(crate) name: String,
    /// The scopes that it permits.
    pub(crate) scopes: BTreeSet<Scope>,
    /// The labels of the jobs that it is for; without any, all jobs.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
    /// When it was created.
    pub(crate) created: Timestamp,
    /// The moment from which it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    /// SHA-256 of the secret, in base64.
    hash: String,
}

/// The properties of a token to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewAccessToken {
    pub(crate) name: String,
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) labels: Labels,
    pub(crate) expires: Option<Timestamp>,
}

impl AccessToken {
    /// Makes a token and its text, which is known only here.
    pub(super) fn generate(new: NewAccessToken, now: Timestamp) -> (Self, String) {
        let id = random::<ID_BYTES>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self::with_id(id, new, now)
    }

    /// Makes a token with this id, and its text.
    pub(super) fn with_id(id: String, new: NewAccessToken, now: Timestamp) -> (Self, String) {
        let secret = URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>());
        let text = format!("{PREFIX}{id}_{secret}");
        let NewAccessToken { name, scopes, labels, expires } = new;
        (Self { id, name, scopes, labels, created: now, expires, hash: hash(&secret) }, text)
    }

    /// Tells whether a secret is its own, in a time that does not depend on where they differ.
    pub(super) fn is_secret(&self, secret: &str) -> bool {
        hash(secret).as_bytes().ct_eq(self.hash.as_bytes()).into()
    }

    /// Tells whether it is refused at this moment.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }

    /// Tells whether it permits what needs a scope. `admin` permits everything.
    pub(crate) fn permits(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// Splits the text of a token into its id and its secret.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    if text.len() > MAX_TEXT {
        return None;
    }
    text.strip_prefix(PREFIX)?.split_once('_')
}

fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    bytes
}

/// The labels of a job's document.
#[derive(Deserialize)]
struct LabelsOfDocument {
    #[serde(default)]
    labels: Map<String, Value>,
}

/// Tells whether the document of a job has all of these labels. One that cannot be read has none.
pub(crate) fn has_labels(document: &str, wanted: &Labels) -> bool {
    let found = serde_json::from_str::<LabelsOfDocument>(document).map(|found| found.labels);
    let found = found.unwrap_or_default();
    wanted.iter().all(|(name, value)| found.get(name).and_then(Value::as_str) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> NewAccessToken {
        let (name, scopes) = ("ci".to_owned(), BTreeSet::from([Scope::JobsRead]));
        NewAccessToken { name, scopes, labels: Labels::new(), expires: None }
    }

    #[test]
    fn a_token_has_256_random_bits_and_the_store_has_only_their_hash() {
        let (token, text) = AccessToken::generate(new(), Timestamp::UNIX_EPOCH);
        let (id, secret) = split(&text).unwrap();
        assert_eq!((id, id.len()), (token.id.as_str(), 2 * ID_BYTES));
        assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), SECRET_BYTES);
        assert!(token.is_secret(secret));
        assert!(!token.is_secret(&secret[1..]) && !token.is_secret("") && !token.is_secret(&hash(secret)));
        let stored = serde_json::to_string(&token).unwrap();
        assert!(!stored.contains(secret), "{stored}");
        let (_, other) = AccessToken::generate(new(), Timestamp::UNIX_EPOCH);
        assert_ne!(text, other);
    }

    #[test]
    fn text_that_is_no_token_has_no_parts() {
        for text in ["", "ecss_", "ecss_a", "Ecss_a_b", "bearer", &format!("ecss_a_{}", "b".repeat(200))] {
            assert_eq!(split(text), None, "{text}");
        }
        assert_eq!(split("ecss_a_b_c"), Some(("a", "b_c")));
    }

    #[test]
    fn a_job_must_have_every_label_with_its_value() {
        let wanted = Labels::from([("team".to_owned(), "media".to_owned())]);
        assert!(has_labels(r#"{"labels": {"team": "media", "x": "y"}}"#, &wanted));
        for document in [
            "{}",
            "[]",
            "no",
            r#"{"labels": {"team": "Media"}}"#,
            r#"{"labels": {"team": null}}"#,
            r#"{"labels": {"team ": "media"}}"#,
            r#"{"labels": 1}"#,
        ] {
            assert!(!has_labels(document, &wanted), "{document}");
        }
        assert!(has_labels("no", &Labels::new()));
    }

    #[test]
    fn admin_permits_everything_and_other_scopes_only_themselves() {
        let with = |scope| {
            let new = NewAccessToken { scopes: BTreeSet::from([scope]), ..new() };
            AccessToken::generate(new, Timestamp::UNIX_EPOCH).0
        };
        for scope in Scope::ALL {
            for needed in Scope::ALL {
                assert_eq!(with(scope).permits(needed), scope == needed || scope == Scope::Admin);
            }
        }
    }
}
