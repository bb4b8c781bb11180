//! Quotas on calls: token buckets per account and region.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::scope::AwsScope;

/// A bucket's size and fill rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Burst of calls (or tasks).
    pub burst: f64,
    /// Calls (or tasks) per second in the long run.
    pub per_second: f64,
}

/// Quotas by bucket; off until switched on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Quotas {
    /// Whether calls are counted against the buckets.
    pub enforced: bool,
    /// The buckets; AWS's published numbers until something else is set.
    pub buckets: BTreeMap<Bucket, Quota>,
}

/// The token bucket that a group of operations shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Bucket {
    /// `RunTask`, `StopTask`.
    ClusterResourceModify,
    /// `ListTasks`, `DescribeTasks`.
    ClusterResourceRead,
    /// `CreateCluster`.
    ClusterModify,
    /// `DescribeClusters`.
    ClusterRead,
    /// `RegisterTaskDefinition`, `DeregisterTaskDefinition`.
    DefinitionModify,
    /// `DescribeTaskDefinition`, `ListTaskDefinitions`.
    DefinitionRead,
    /// `TagResource`.
    TagModify,
    /// `ListTagsForResource`.
    TagRead,
    /// `RunTask` calls for Fargate.
    FargateCalls,
    /// Tasks started on Fargate.
    FargateTasks,
    /// `GetMetricData` calls.
    MetricData,
    /// `GetLogEvents` calls.
    LogEvents,
    /// `Publish` calls.
    Publish,
}

impl Default for Quotas {
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>,
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html>,
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>,
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>,
    /// <https://docs.aws.amazon.com/general/latest/gr/sns.html>
    fn default() -> Self {
        let published = [
            (Bucket::ClusterResourceModify, 100.0, 40.0),
            (Bucket::ClusterResourceRead, 100.0, 20.0),
            (Bucket::ClusterModify, 20.0, 1.0),
            (Bucket::ClusterRead, 50.0, 20.0),
            (Bucket::DefinitionModify, 20.0, 1.0),
            (Bucket::DefinitionRead, 50.0, 20.0),
            (Bucket::TagModify, 20.0, 10.0),
            (Bucket::TagRead, 50.0, 20.0),
            (Bucket::FargateCalls, 20.0, 20.0),
            (Bucket::FargateTasks, 100.0, 20.0),
            (Bucket::MetricData, 50.0, 50.0),
            (Bucket::LogEvents, 10.0, 10.0),
            (Bucket::Publish, 300.0, 300.0),
        ];
        let buckets = published.map(|(bucket, burst, per_second)| (bucket, Quota { burst, per_second }));
        Self { enforced: false, buckets: buckets.into() }
    }
}

impl Bucket {
    /// Returns the bucket of an operation.
    pub(crate) fn for_operation(operation: &str) -> Option<Self> {
        Some(match operation {
            "RunTask" | "StopTask" => Self::ClusterResourceModify,
            "ListTasks" | "DescribeTasks" => Self::ClusterResourceRead,
            "CreateCluster" => Self::ClusterModify,
            "DescribeClusters" => Self::ClusterRead,
            "RegisterTaskDefinition" | "DeregisterTaskDefinition" => Self::DefinitionModify,
            "DescribeTaskDefinition" | "ListTaskDefinitions" => Self::DefinitionRead,
            "TagResource" => Self::TagModify,
            "ListTagsForResource" => Self::TagRead,
            "GetMetricData" => Self::MetricData,
            "GetLogEvents" => Self::LogEvents,
            "Publish" => Self::Publish,
            _ => return None,
        })
    }
}

/// The levels of the buckets.
#[derive(Debug, Default)]
pub(crate) struct BucketLevels(HashMap<(AwsScope, Bucket), (f64, Timestamp)>);

impl BucketLevels {
    /// Takes all of these tokens, or nothing.
    pub(crate) fn try_take(
        &mut self,
        scope: &AwsScope,
        wanted: &[(Bucket, f64)],
        quotas: &Quotas,
        now: Timestamp,
    ) -> bool {
        if !quotas.enforced {
            return true;
        }
        let mut taken = Vec::new();
        for (bucket, amount) in wanted {
            let Some(quota) = quotas.buckets.get(bucket) else { continue };
            let key = (scope.clone(), *bucket);
            let (level, since) = self.0.get(&key).copied().unwrap_or((quota.burst, now));
            let passed = now.duration_since(since).as_secs_f64().max(0.0);
            let level = (level + passed * quota.per_second).min(quota.burst);
            if level < *amount {
                return false;
            }
            taken.push((key, (level - amount, now)));
        }
        self.0.extend(taken);
        true
    }
}
