//! The state of the fake, behind one lock.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Service;
use crate::cloudwatch::{CloudWatchSettings, CloudWatchState};
use crate::dynamodb::{DynamoDbSettings, DynamoDbState};
use crate::ecs::{EcsSettings, EcsState};
use crate::imds;
use crate::launch_log::LaunchLog;
use crate::logs::{LogsSettings, LogsState};
use crate::permission::Permissions;
use crate::quota::{Bucket, BucketLevels, Quotas};
use crate::scope::AwsScope;
use crate::sns::SnsState;
use crate::sqs::{SqsSettings, SqsState};
use crate::sts::{self, StsSettings};
use crate::wire::Failure;

/// Settings of the fake, which can be changed at any time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// ECS.
    pub ecs: EcsSettings,
    /// SQS.
    pub sqs: SqsSettings,
    /// `CloudWatch`.
    pub cloudwatch: CloudWatchSettings,
    /// `CloudWatch Logs`.
    pub logs: LogsSettings,
    /// `DynamoDB`.
    pub dynamodb: DynamoDbSettings,
    /// STS.
    pub sts: StsSettings,
    /// Quotas on calls.
    pub quotas: Quotas,
    /// Restrictions on callers.
    pub permissions: Permissions,
}

/// One call: its scope, service, operation and key.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) scope: AwsScope,
    pub(crate) service: Service,
    pub(crate) operation: String,
    /// The id of the key that signed it.
    pub(crate) key: Option<String>,
}

/// The remaining wait of a long poll.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LongPoll {
    /// From the beginning of its call.
    pub(crate) wait: Duration,
    /// Until the next scheduled change, from now.
    pub(crate) next: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct FakeState {
    pub(crate) settings: Settings,
    pub(crate) ecs: EcsState,
    pub(crate) sqs: SqsState,
    pub(crate) sns: SnsState,
    pub(crate) cloudwatch: CloudWatchState,
    logs: LogsState,
    pub(crate) dynamodb: DynamoDbState,
    pub(crate) launch_log: LaunchLog,
    levels: BucketLevels,
}

impl FakeState {
    /// Makes an empty state; the URLs of its queues begin with `base`.
    pub(crate) fn new(settings: Settings, base: String) -> Self {
        Self {
            settings,
            ecs: EcsState::new(),
            sqs: SqsState::new(base),
            sns: SnsState::default(),
            cloudwatch: CloudWatchState::default(),
            logs: LogsState::default(),
            dynamodb: DynamoDbState::default(),
            launch_log: LaunchLog::default(),
            levels: BucketLevels::default(),
        }
    }

    /// Applies all changes that are due.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.ecs.advance(now, &self.settings.ecs, &mut self.launch_log);
        for (at, posted) in self.ecs.arrived(now) {
            self.sqs.deliver(&posted.scope, &posted.queue, &posted.body, at);
        }
    }

    /// Answers a call: permissions, quotas, then the service.
    pub(crate) fn handle(&mut self, call: &Call, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        self.permit(call, body)?;
        self.charge_quotas(call, body, now)?;
        self.perform(call, body, now)
    }

    /// Runs the operation in its service.
    pub(crate) fn perform(&mut self, call: &Call, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        match call.service {
            Service::Ecs => {
                let (settings, launch_log) = (&mut self.settings.ecs, &mut self.launch_log);
                self.ecs.handle(&call.scope, &call.operation, body, now, settings, launch_log)
            }
            Service::Sqs => self.sqs.handle(&call.scope, &call.operation, body, now, &self.settings.sqs),
            Service::CloudWatch => {
                let settings = &self.settings.cloudwatch;
                self.cloudwatch.handle(&call.scope, &call.operation, body, now.as_second(), settings)
            }
            Service::Logs => self.logs.handle(&call.scope, &call.operation, body, now, self.settings.logs),
            Service::DynamoDb => {
                self.dynamodb.handle(&call.scope, &call.operation, body, now, &self.settings.dynamodb)
            }
            Service::Sns => self.sns.handle(&call.scope, &call.operation, body, now),
            Service::Sts => sts::handle(&call.scope, &call.operation, body, now, &self.settings.sts),
            Service::Imds => imds::handle(&call.scope, &call.operation, body, now),
        }
    }

    /// Returns the wait of a `ReceiveMessage` caller, and the time of the next scheduled change.
    pub(crate) fn long_poll(&self, call: &Call, body: &Value, now: Timestamp) -> Option<LongPoll> {
        if call.service != Service::Sqs || call.operation != "ReceiveMessage" {
            return None;
        }
        let (wait, visible) = self.sqs.long_poll(&call.scope, body, now)?;
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let next = [visible, self.ecs.next_change()].into_iter().flatten().min().map(until);
        Some(LongPoll { wait: Duration::try_from(wait).unwrap_or_default(), next })
    }

    /// Fails if the call exceeds its quotas.
    fn charge_quotas(&mut self, call: &Call, body: &Value, now: Timestamp) -> Result<(), Failure> {
        let mut wanted: Vec<(Bucket, f64)> =
            Bucket::for_operation(&call.operation).map(|bucket| (bucket, 1.0)).into_iter().collect();
        if call.operation == "RunTask" && is_fargate(body) {
            let tasks = body["count"].as_f64().unwrap_or(1.0).clamp(1.0, 10.0);
            wanted.extend([(Bucket::FargateCalls, 1.0), (Bucket::FargateTasks, tasks)]);
        }
        if self.levels.try_take(&call.scope, &wanted, &self.settings.quotas, now) {
            return Ok(());
        }
        Err(Failure::throttled())
    }
}

/// Tells whether a `RunTask` names Fargate.
fn is_fargate(body: &Value) -> bool {
    let provider = body["capacityProviderStrategy"][0]["capacityProvider"].as_str();
    body["launchType"] == "FARGATE" || provider.is_some_and(|name| name.starts_with("FARGATE"))
}
