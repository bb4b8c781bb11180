//! Accounts, regions, and callers.

use axum::http::{HeaderMap, header::AUTHORIZATION};
use serde::{Deserialize, Serialize};

/// The account of callers whose key id names none.
pub const ACCOUNT: &str = "123456789012";

/// An account and a region: every resource lives in one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AwsScope {
    /// Twelve digits.
    pub account: String,
    /// As in `eu-central-1`.
    pub region: String,
}

impl AwsScope {
    /// The scope in [`ACCOUNT`] and this region.
    #[must_use]
    pub fn in_region(region: impl Into<String>) -> Self {
        Self { account: ACCOUNT.to_owned(), region: region.into() }
    }

    /// Reads the scope from a request's signature: its region, and the account if the access key id is twelve digits.
    /// The signature itself is not checked.
    pub(crate) fn signed(headers: &HeaderMap) -> Option<Self> {
        let region = credential_scope(headers)?.nth(2)?;
        let key = access_key(headers)?;
        let is_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
        let account = if is_account { key } else { ACCOUNT };
        Some(Self { account: account.to_owned(), region: region.to_owned() })
    }

    /// Tells whether the region has the form of one of AWS: no other name has an endpoint.
    pub(crate) fn has_region(&self) -> bool {
        let (words, number) = self.region.rsplit_once('-').unwrap_or_default();
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase());
        words.split('-').count() >= 2
            && words.split('-').all(is_word)
            && !number.is_empty()
            && number.bytes().all(|c| c.is_ascii_digit())
    }

    /// Returns the ARN of a resource of a service in this scope.
    pub(crate) fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }

    /// Returns the ARN by which errors name the caller.
    pub(crate) fn caller(&self) -> String {
        format!("arn:aws:iam::{}:user/fake", self.account)
    }
}

/// Returns the id of the access key that a request was signed with.
pub(crate) fn access_key(headers: &HeaderMap) -> Option<&str> {
    credential_scope(headers)?.next()
}

/// Returns the parts of a signature's scope: key id, date, region, service.
fn credential_scope(headers: &HeaderMap) -> Option<std::str::Split<'_, char>> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let scope = text.split_once("Credential=")?.1.split([',', ' ']).next()?;
    Some(scope.split('/'))
}
