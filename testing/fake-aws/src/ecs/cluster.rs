//! Clusters.

use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{Cluster, ClusterKey, EcsState, Status, StrategyItem, Tag};
use super::tags;
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// The cluster of calls that name none.
const DEFAULT: &str = "default";

/// Maximum number of clusters in one `DescribeClusters`.
const MAX_DESCRIBED: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateCluster {
    cluster_name: Option<String>,
    #[serde(default)]
    capacity_providers: Vec<String>,
    #[serde(default)]
    default_capacity_provider_strategy: Vec<StrategyItem>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeClusters {
    #[serde(default)]
    clusters: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
}

/// Returns the cluster of a name or an ARN. An ARN of another scope names no cluster here.
pub(crate) fn key(scope: &AwsScope, named: Option<&str>) -> Option<ClusterKey> {
    let named = named.filter(|name| !name.is_empty()).unwrap_or(DEFAULT);
    let name =
        if named.starts_with("arn:") { named.strip_prefix(&scope.arn("ecs", "cluster/"))? } else { named };
    Some(ClusterKey { scope: scope.clone(), name: name.to_owned() })
}

impl EcsState {
    /// Finds the cluster that a call names.
    pub(crate) fn cluster(
        &self,
        scope: &AwsScope,
        named: Option<&str>,
    ) -> Result<(ClusterKey, &Cluster), Failure> {
        let missing = || Failure::client("ClusterNotFoundException", "Cluster not found.");
        let key = key(scope, named).ok_or_else(missing)?;
        let cluster = self.clusters.get(&key).ok_or_else(missing)?;
        Ok((key, cluster))
    }

    pub(crate) fn create_cluster(&mut self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: CreateCluster = read(body)?;
        let name = request.cluster_name.unwrap_or_else(|| DEFAULT.to_owned());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 255 || !name.bytes().all(allowed) {
            return Err(Failure::parameter("Invalid identifier: Invalid cluster name"));
        }
        tags::check(&request.tags)?;
        let key = ClusterKey { scope: scope.clone(), name };
        self.clusters.entry(key.clone()).or_insert(Cluster {
            providers: request.capacity_providers,
            default_strategy: request.default_capacity_provider_strategy,
            tags: request.tags,
        });
        Ok(json!({ "cluster": self.show_cluster(&key, true) }))
    }

    pub(crate) fn describe_clusters(&self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: DescribeClusters = read(body)?;
        if request.clusters.len() > MAX_DESCRIBED {
            return Err(Failure::parameter("Clusters cannot have more than 100 elements"));
        }
        let named = if request.clusters.is_empty() { vec![DEFAULT.to_owned()] } else { request.clusters };
        let with_tags = request.include.iter().any(|what| what == "TAGS");
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in named {
            match key(scope, Some(&name)).filter(|key| self.clusters.contains_key(key)) {
                Some(key) => found.push(self.show_cluster(&key, with_tags)),
                None if name.starts_with("arn:") => {
                    failures.push(json!({ "arn": name, "reason": "MISSING" }))
                }
                None => {
                    let arn = scope.arn("ecs", &format!("cluster/{name}"));
                    failures.push(json!({ "arn": arn, "reason": "MISSING" }));
                }
            }
        }
        Ok(json!({ "clusters": found, "failures": failures }))
    }

    fn show_cluster(&self, key: &ClusterKey, with_tags: bool) -> Value {
        let cluster = &self.clusters[key];
        let count = |of: &dyn Fn(Status) -> bool| {
            self.tasks.values().filter(|task| task.cluster == *key && of(task.last)).count()
        };
        json!({
            "clusterArn": key.arn(),
            "clusterName": key.name,
            "status": "ACTIVE",
            "runningTasksCount": count(&|last| last == Status::Running),
            "pendingTasksCount": count(&|last| last < Status::Running),
            "activeServicesCount": 0,
            "registeredContainerInstancesCount": 0,
            "capacityProviders": cluster.providers,
            "defaultCapacityProviderStrategy": cluster.default_strategy,
            "tags": if with_tags { json!(cluster.tags) } else { json!([]) },
        })
    }
}
