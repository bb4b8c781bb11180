//! Signatures of webhooks: the symmetric scheme of Standard Webhooks.
//!
//! # Source
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>: HMAC-SHA256 over
//! `id.timestamp.payload`, as `v1,` and base64, with a secret of 24 to 64 bytes that is written as `whsec_` and base64.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ecs_scheduler_core::Timestamp;
use ring::hmac;

#[cfg(test)]
mod tests;

/// The beginning of a secret in its written form.
const PREFIX: &str = "whsec_";
/// The length of a secret, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that a webhook's receiver checks signatures with.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct WebhookSecret(Vec<u8>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(hidden)")
    }
}

impl WebhookSecret {
    /// Reads a secret. The errors do not contain it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = "it must be `whsec_` and the base64 of 24 to 64 random bytes; make one with \
                     `echo whsec_$(openssl rand -base64 32)`";
        let encoded = text.strip_prefix(PREFIX).ok_or(wrong)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| wrong)?;
        if LENGTH.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(wrong.to_owned()) }
    }

    /// Returns the headers of a message that is sent at this moment.
    pub(super) fn headers(&self, id: &str, at: Timestamp, body: &str) -> [(&'static str, String); 3] {
        let timestamp = at.as_second().to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(tag));
        [("webhook-id", id.to_owned()), ("webhook-timestamp", timestamp), ("webhook-signature", signature)]
    }
}
