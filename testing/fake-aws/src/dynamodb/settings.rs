//! Settings of the fake DynamoDB.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Settings of DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DynamoDbSettings {
    /// Age of the state that eventually consistent reads and indexes show. Zero.
    pub lag: SignedDuration,
    /// Time for which a new table is `CREATING`. Zero.
    pub creation: SignedDuration,
    /// Maximum number of bytes that a page of `Query` or `Scan` reads. 1 MB.
    pub page_bytes: usize,
    /// Maximum number of bytes in an answer of `BatchGetItem`. 16 MB.
    pub batch_bytes: usize,
}

impl Default for DynamoDbSettings {
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html>,
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
    fn default() -> Self {
        Self {
            lag: SignedDuration::ZERO,
            creation: SignedDuration::ZERO,
            page_bytes: 1 << 20,
            batch_bytes: 16 << 20,
        }
    }
}
