//! Everything behind the one lock.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Service;
use crate::cloudwatch::{CloudWatchSettings, CloudWatchState};
use crate::dynamodb::{DynamoDbSettings, DynamoDbState};
use crate::ecs::{EcsSettings, EcsState};
use crate::imds;
use crate::launch_log::Oracle;
use crate::permission::Permissions;
use crate::quota::{Bucket, Levels, Quotas};
use crate::scope::Place;
use crate::sqs::{SqsSettings, SqsState};
use crate::sts::{self, StsSettings};
use crate::wire::Failure;

/// How the fake behaves, settable at any time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// ECS.
    pub ecs: EcsSettings,
    /// SQS.
    pub sqs: SqsSettings,
    /// `CloudWatch`.
    pub cloudwatch: CloudWatchSettings,
    /// `DynamoDB`.
    pub dynamodb: DynamoDbSettings,
    /// STS.
    pub sts: StsSettings,
    /// Quotas on calls.
    pub quotas: Quotas,
    /// What callers may not do.
    pub permissions: Permissions,
}

/// One call, as its envelope tells.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) place: Place,
    pub(crate) service: Service,
    pub(crate) operation: String,
    /// The id of the key that signed it.
    pub(crate) key: Option<String>,
}

/// How long a receiver is willing to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// From the beginning of its call.
    pub(crate) wait: Duration,
    /// Until something happens by itself, from now.
    pub(crate) next: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) ecs: EcsState,
    pub(crate) sqs: SqsState,
    pub(crate) cloudwatch: CloudWatchState,
    pub(crate) dynamodb: DynamoDbState,
    pub(crate) oracle: Oracle,
    levels: Levels,
}

impl World {
    /// Makes an empty world; the URLs of its queues begin with `base`.
    pub(crate) fn new(settings: Settings, base: String) -> Self {
        Self {
            settings,
            ecs: EcsState::new(),
            sqs: SqsState::new(base),
            cloudwatch: CloudWatchState::default(),
            dynamodb: DynamoDbState::default(),
            oracle: Oracle::default(),
            levels: Levels::default(),
        }
    }

    /// Lets everything happen that is due.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.ecs.advance(now, &self.settings.ecs, &mut self.oracle);
        for (at, posted) in self.ecs.arrived(now) {
            self.sqs.deliver(&posted.place, &posted.queue, &posted.body, at);
        }
    }

    /// Answers a call: permissions, quotas, then the service.
    pub(crate) fn handle(&mut self, call: &Call, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        self.permit(call, body)?;
        self.meter(call, body, now)?;
        self.perform(call, body, now)
    }

    /// Lets a service do its work.
    pub(crate) fn perform(&mut self, call: &Call, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        match call.service {
            Service::Ecs => {
                let (settings, oracle) = (&mut self.settings.ecs, &mut self.oracle);
                self.ecs.handle(&call.place, &call.operation, body, now, settings, oracle)
            }
            Service::Sqs => self.sqs.handle(&call.place, &call.operation, body, now, &self.settings.sqs),
            Service::CloudWatch => {
                let settings = &self.settings.cloudwatch;
                self.cloudwatch.handle(&call.place, &call.operation, body, now.as_second(), settings)
            }
            Service::DynamoDb => {
                self.dynamodb.handle(&call.place, &call.operation, body, now, &self.settings.dynamodb)
            }
            Service::Sts => sts::handle(&call.place, &call.operation, body, now, &self.settings.sts),
            Service::Imds => imds::handle(&call.place, &call.operation, body, now),
        }
    }

    /// Returns how long the caller of `ReceiveMessage` waits for a message, and when something happens next.
    pub(crate) fn patience(&self, call: &Call, body: &Value, now: Timestamp) -> Option<Patience> {
        if call.service != Service::Sqs || call.operation != "ReceiveMessage" {
            return None;
        }
        let (wait, visible) = self.sqs.patience(&call.place, body, now)?;
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let next = [visible, self.ecs.next_change()].into_iter().flatten().min().map(until);
        Some(Patience { wait: Duration::try_from(wait).unwrap_or_default(), next })
    }

    /// Fails when the call is beyond its quotas.
    fn meter(&mut self, call: &Call, body: &Value, now: Timestamp) -> Result<(), Failure> {
        let mut wanted: Vec<(Bucket, f64)> =
            Bucket::of(&call.operation).map(|bucket| (bucket, 1.0)).into_iter().collect();
        if call.operation == "RunTask" && is_fargate(body) {
            let tasks = body["count"].as_f64().unwrap_or(1.0).clamp(1.0, 10.0);
            wanted.extend([(Bucket::FargateCalls, 1.0), (Bucket::FargateTasks, tasks)]);
        }
        if self.levels.take(&call.place, &wanted, &self.settings.quotas, now) {
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
