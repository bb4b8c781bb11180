//! Overrides of one container, other than environment and command.

use ecs_scheduler_core::{ConfigError, Override, read_config};
use serde::{Deserialize, Serialize};

/// Overrides of one container, other than environment and command.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerResources {
    /// CPU units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i32>,
    /// The hard limit of memory in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i32>,
    /// The soft limit of memory in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<i32>,
    /// Files with environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment_files: Vec<EnvironmentFile>,
    /// GPUs and other devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_requirements: Vec<ResourceRequirement>,
}

/// A file with environment variables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFile {
    /// `s3`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object's ARN.
    pub value: String,
}

/// A GPU, or another device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceRequirement {
    /// `GPU`, `InferenceAccelerator` or `NeuronDevice`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The number of devices, or the device's name.
    pub value: String,
}

impl ContainerResources {
    /// Parses the resources of an override.
    ///
    /// # Errors
    ///
    /// Fails with a pointer that begins at the override.
    pub fn from_override(change: &Override) -> Result<Self, ConfigError> {
        read_config(change.resources.clone())
    }
}
