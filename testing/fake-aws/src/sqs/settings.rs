//! Settings of the fake SQS.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Settings of SQS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SqsSettings {
    /// `ApproximateNumberOf…` show the state of this long ago, at most ten minutes.
    pub counts_lag: SignedDuration,
}
