//! What a plugin must be permitted to do by the other side, so that an operator can grant that and nothing more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One thing that must be permitted. A set of them makes the policy that `ecs-scheduler iam-policy` prints.
///
/// The words are those of AWS IAM, because that is where they are granted; a plugin for something else has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// The action: `sqs:GetQueueAttributes`.
    pub action: String,
    /// What it is done to: an ARN, which may hold `*`.
    pub resource: String,
    /// What must hold besides, by condition operator and key: `ArnEquals` → `ecs:cluster` → the cluster's ARN.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, BTreeMap<String, String>>,
}

impl Permission {
    /// Asks for an action on a resource.
    #[must_use]
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), conditions: BTreeMap::new() }
    }

    /// Narrows it by a condition.
    ///
    /// # Example
    ///
    /// ```
    /// use ecs_scheduler_core::Permission;
    /// let pass = Permission::new("iam:PassRole", "arn:aws:iam::123456789012:role/worker")
    ///     .given("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com");
    /// assert_eq!(pass.conditions["StringEquals"]["iam:PassedToService"], "ecs-tasks.amazonaws.com");
    /// ```
    #[must_use]
    pub fn given(mut self, operator: &str, key: &str, value: impl Into<String>) -> Self {
        self.conditions.entry(operator.to_owned()).or_default().insert(key.to_owned(), value.into());
        self
    }
}
