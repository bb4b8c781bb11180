//! A fake CloudWatch whose clock stands still, the trigger, and jobs.

use std::sync::Arc;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings, Timeouts};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{
    BuildContext, EvalContext, Evaluation, JobId, Scaling, SystemClock, Tick, Timestamp, Trigger,
    TriggerError, TriggerRegistry,
};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, Service};
use ecs_scheduler_trigger_cloudwatch::CloudWatch;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// The moment of every test, a little after a full minute.
pub(crate) const NOW: &str = "2026-11-22T12:00:07Z";

/// The timeouts of the product.
pub(crate) const USUAL: Timeouts = Timeouts {
    connect: std::time::Duration::from_secs(3),
    attempt: std::time::Duration::from_secs(20),
    operation: std::time::Duration::from_secs(20),
};

pub(crate) struct Rig {
    pub(crate) fake: Fake,
    pub(crate) aws: AwsContext,
    registry: TriggerRegistry,
}

/// Returns an AWS context for a fake.
pub(crate) fn aws(url: String, timeouts: Timeouts) -> AwsContext {
    AwsContext::new(AwsSettings {
        region: Some("eu-central-1".to_owned()),
        endpoint: Some(url),
        credentials: Some(("key".to_owned(), "secret".to_owned())),
        timeouts,
        ..AwsSettings::new(Arc::new(SystemClock))
    })
}

/// Returns the start of the minute that is this many minutes before the newest complete one.
pub(crate) fn minutes_ago(minutes: i64) -> Timestamp {
    let newest: Timestamp = "2026-11-22T11:59:00Z".parse().unwrap();
    newest - SignedDuration::from_mins(minutes)
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(USUAL).await
    }

    pub(crate) async fn with(timeouts: Timeouts) -> Self {
        let fake = Fake::start(FakeOptions::default()).await.unwrap();
        fake.clock().hold(NOW.parse().unwrap());
        let aws = aws(fake.url(), timeouts);
        let mut registry = TriggerRegistry::new();
        registry.add(CloudWatch::new(aws.clone())).unwrap();
        Self { fake, aws, registry }
    }

    /// Stores one value of `App/<name>` this many minutes ago.
    pub(crate) fn put(&self, name: &str, minutes: i64, value: f64) {
        self.fake.cloudwatch().put("App", name, &[], minutes_ago(minutes), value);
    }

    /// Builds a trigger with these fields.
    pub(crate) fn trigger(&self, mut fields: Value) -> Arc<dyn Trigger> {
        fields["type"] = "cloudwatch".into();
        let cx = BuildContext::new(&self.registry, "UTC", Scaling::default());
        self.registry.build(&fields, &cx).unwrap_or_else(|error| panic!("{fields}: {error}"))
    }

    pub(crate) async fn evaluate(&self, fields: Value) -> Result<Evaluation, TriggerError> {
        evaluate(&*self.trigger(fields)).await
    }

    /// Runs an evaluation that must fail, and returns the error with all its sources.
    pub(crate) async fn failure(&self, fields: Value) -> (TriggerError, String) {
        let error = self.evaluate(fields).await.unwrap_err();
        let error_chain = chain(&error);
        (error, error_chain)
    }

    pub(crate) fn calls(&self) -> u64 {
        self.fake.calls(Service::CloudWatch, "GetMetricData").calls
    }
}

pub(crate) async fn evaluate(trigger: &dyn Trigger) -> Result<Evaluation, TriggerError> {
    evaluate_at(trigger, NOW).await
}

pub(crate) async fn evaluate_at(trigger: &dyn Trigger, nominal: &str) -> Result<Evaluation, TriggerError> {
    let job = JobId::new("job").unwrap();
    let nominal = nominal.parse().unwrap();
    let tick = Tick::at(nominal);
    trigger.evaluate(&EvalContext::new(&job, tick, Scaling::default())).await
}

/// A metric of the namespace `App` with threshold 10 and these fields.
pub(crate) fn metric(name: &str, besides: &Value) -> Value {
    let mut fields = json!({"namespace": "App", "metricName": name, "threshold": 10});
    fields.as_object_mut().unwrap().extend(besides.as_object().unwrap().clone());
    fields
}
