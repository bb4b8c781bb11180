//! Entity tags: strong, opaque, 40 hexadecimal digits.
//!
//! The tag of a job has two halves. The first 24 digits identify the version of its document; `If-Match` compares only
//! these, so a run that is recorded meanwhile does not fail an edit. The other 16 identify the bytes of the
//! representation, so that `If-None-Match` never hides a new `lastRun`. All other tags are a hash of the body.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ecs_scheduler_core::StoredJob;
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// The number of digits of a job's tag that identify the version of its document.
const VERSION_DIGITS: usize = 24;
const DIGITS: usize = 40;

/// A strong entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// Tags a representation by its bytes.
    pub(super) fn of_body(body: &[u8]) -> Self {
        Self(hex(&Sha256::digest(body), DIGITS))
    }

    /// Tags a representation of a job.
    pub(super) fn of_job(job: &StoredJob, body: &[u8]) -> Self {
        let mut tag = Self::version(job);
        tag.push_str(&hex(&Sha256::digest(body), DIGITS - VERSION_DIGITS));
        Self(tag)
    }

    /// Returns the header's value, quotes included.
    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::try_from(format!("\"{}\"", self.0)).expect("hexadecimal digits are a header value")
    }

    /// Tells whether an entity tag names the job's present version (strong comparison); `*` names every version.
    pub(super) fn names_version(tag: &str, job: &StoredJob) -> bool {
        let is_present = |tag: &str| tag.len() == DIGITS && tag.starts_with(&Self::version(job));
        tag == "*" || strong(tag).is_some_and(is_present)
    }

    fn version(job: &StoredJob) -> String {
        let hash = Sha256::new()
            .chain_update(job.uid.as_uuid().as_bytes())
            .chain_update(job.revision.0.to_be_bytes());
        hex(&hash.finalize(), VERSION_DIGITS)
    }
}

fn hex(bytes: &[u8], digits: usize) -> String {
    const DIGIT: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.take(digits).map(|nibble| char::from(DIGIT[usize::from(nibble)])).collect()
}

/// Tells whether the client has this representation already (`If-None-Match`, weak comparison).
pub(super) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = |given: &str| given == "*" || given.strip_prefix("W/").unwrap_or(given).as_bytes() == tag;
    tags(headers, &header::IF_NONE_MATCH).any(known)
}

/// Returns the entity tags of a header, and `*`.
pub(super) fn tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn strong(tag: &str) -> Option<&str> {
    tag.strip_prefix('"')?.strip_suffix('"')
}
