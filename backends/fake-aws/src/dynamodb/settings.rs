//! How the fake DynamoDB behaves.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Settings of DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DynamoDbSettings {
    /// Reads that are not consistent, and indexes, show the state of this long ago. No time.
    pub lag: SignedDuration,
    /// How long a new table is `CREATING`. No time.
    pub creation: SignedDuration,
    /// How many bytes of items a page of `Query` or `Scan` looks at. 1 MB.
    pub page_bytes: usize,
    /// How many bytes of items an answer of `BatchGetItem` has. 16 MB.
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
