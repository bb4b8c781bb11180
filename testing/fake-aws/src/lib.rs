#![doc = include_str!("../README.md")]

mod clock;
mod cloudwatch;
mod control;
mod dynamodb;
mod ecs;
mod fake;
mod fault;
mod imds;
mod launch_log;
mod logs;
mod permission;
mod query;
mod quota;
mod resettable_conn;
mod rng;
mod scope;
mod server;
mod sns;
mod sqs;
mod state;
mod sts;
mod wire;

use serde::{Deserialize, Serialize};

pub use clock::MovableClock;
pub use cloudwatch::{CloudWatchControl, CloudWatchSettings, DataStatus};
pub use dynamodb::{DynamoDbSettings, ItemWrites};
pub use ecs::{Capacity, EcsControl, EcsSettings, EventFeed, EventForm, Tag, TaskLifecycle};
pub use fake::{Fake, FakeOptions};
pub use fault::{FaultRule, Faults, InjectedFault};
pub use launch_log::{Calls, Launch};
pub use logs::{LogsControl, LogsSettings};
pub use permission::Permissions;
pub use quota::{Bucket, Quota, Quotas};
pub use scope::{ACCOUNT, AwsScope};
pub use sns::{PublishedMessage, SnsControl};
pub use sqs::{SqsControl, SqsSettings};
pub use state::Settings;
pub use sts::StsSettings;

/// The services that are faked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Elastic Container Service.
    Ecs,
    /// Simple Queue Service.
    Sqs,
    /// `CloudWatch` metrics.
    CloudWatch,
    /// `CloudWatch Logs`.
    Logs,
    /// `DynamoDB`.
    DynamoDb,
    /// Simple Notification Service.
    Sns,
    /// Security Token Service.
    Sts,
    /// The metadata service of an EC2 instance.
    Imds,
}

impl Service {
    /// Returns the prefix of the service's actions in IAM.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecs => "ecs",
            Self::Sqs => "sqs",
            Self::CloudWatch => "cloudwatch",
            Self::Logs => "logs",
            Self::DynamoDb => "dynamodb",
            Self::Sns => "sns",
            Self::Sts => "sts",
            Self::Imds => "imds",
        }
    }
}

/// A call that a service refused, when it was made without HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name of the error, as in `ClientException`.
    pub code: String,
    /// The message of the service.
    pub message: String,
}
