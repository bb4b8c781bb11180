//! Access tokens that are in a store before a server starts, as another process would have written them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ecs_scheduler_core::Store;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The register of all tokens.
const REGISTER: &str = "access/tokens";

/// A token and its text.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    id: String,
    scopes: Vec<String>,
    labels: Map<String, Value>,
    expires: Option<String>,
    pub(crate) text: String,
}

impl Grant {
    /// Makes a token without scopes.
    pub(crate) fn new(id: &str) -> Self {
        let text = format!("ecss_{id}_{}", secret(id));
        Self { id: id.to_owned(), scopes: Vec::new(), labels: Map::new(), expires: None, text }
    }

    pub(crate) fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }

    pub(crate) fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn expires(mut self, at: &str) -> Self {
        self.expires = Some(at.to_owned());
        self
    }

    fn stored(&self) -> Value {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(secret(&self.id)));
        json!({
            "id": self.id, "name": self.id, "scopes": self.scopes, "labels": self.labels,
            "created": "2026-01-01T00:00:00Z", "expires": self.expires, "hash": hash,
        })
    }
}

fn secret(id: &str) -> String {
    format!("secret-of_{id}")
}

/// Replaces the tokens of a store.
pub(crate) async fn grant(store: &dyn Store, tokens: &[&Grant]) {
    let tokens: Vec<Value> = tokens.iter().map(|token| token.stored()).collect();
    let known = store.get_register(REGISTER).await.unwrap().map(|register| register.version);
    store.put_register(REGISTER, &json!({ "tokens": tokens }).to_string(), known, None).await.unwrap();
}
