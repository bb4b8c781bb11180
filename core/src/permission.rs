//! Permissions that a plugin needs, so that an operator can grant exactly these.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A required permission. `ecs-scheduler iam-policy` prints a policy made of them.
///
/// The terms are those of AWS IAM, where permissions are granted; plugins for other systems need none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Permission {
    /// The action: `sqs:GetQueueAttributes`.
    pub action: String,
    /// The resource: an ARN, which may contain `*`.
    pub resource: String,
    /// Conditions, by operator and key: `ArnEquals` → `ecs:cluster` → the cluster's ARN.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, BTreeMap<String, String>>,
}

impl Permission {
    /// Makes a permission for an action on a resource.
    #[must_use]
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), conditions: BTreeMap::new() }
    }

    /// Adds a condition.
    ///
    /// # Example
    ///
    /// ```
    /// use ecs_scheduler_core::Permission;
    /// let pass = Permission::new("iam:PassRole", "arn:aws:iam::123456789012:role/worker")
    ///     .with_condition("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com");
    /// assert_eq!(pass.conditions["StringEquals"]["iam:PassedToService"], "ecs-tasks.amazonaws.com");
    /// ```
    #[must_use]
    pub fn with_condition(mut self, operator: &str, key: &str, value: impl Into<String>) -> Self {
        self.conditions.entry(operator.to_owned()).or_default().insert(key.to_owned(), value.into());
        self
    }
}
