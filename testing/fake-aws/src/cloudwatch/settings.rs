//! Settings of the fake `CloudWatch`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of `CloudWatch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CloudWatchSettings {
    /// Data points on a page of `GetMetricData`; absent = as many as the call allows.
    pub page_size: Option<usize>,
    /// Time series that a search or a query finds at most; absent = 500, as in AWS.
    pub most_found: Option<usize>,
    /// Statuses of queries, by their id.
    pub statuses: BTreeMap<String, DataStatus>,
}

/// The status of one query of `GetMetricData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataStatus {
    /// All data points are there.
    Complete,
    /// Some data points are missing: the newer half of them.
    PartialData,
    /// There are no data points, because of a fault of the service.
    InternalError,
    /// There are no data points, because the caller may not see them.
    Forbidden,
}

impl DataStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Complete => "Complete",
            Self::PartialData => "PartialData",
            Self::InternalError => "InternalError",
            Self::Forbidden => "Forbidden",
        }
    }
}
