//! A fake SQS, the trigger, and jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings, Timeouts};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{
    BuildContext, EvalContext, Evaluation, JobId, Scaling, SystemClock, Tick, Timestamp, Trigger,
    TriggerError, TriggerRegistry,
};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, Service};
use ecs_scheduler_trigger_sqs::Sqs;
use serde_json::{Value, json};

pub(crate) const REGION: &str = "eu-central-1";

pub(crate) struct Rig {
    pub(crate) fake: Fake,
    pub(crate) aws: AwsContext,
    registry: TriggerRegistry,
    /// Minutes since noon. Every evaluation belongs to another round.
    minute: AtomicU8,
}

/// Returns an AWS context for a fake.
pub(crate) fn aws(url: String, timeouts: Timeouts) -> AwsContext {
    AwsContext::new(AwsSettings {
        region: Some(REGION.to_owned()),
        endpoint: Some(url),
        credentials: Some(("key".to_owned(), "secret".to_owned())),
        timeouts,
        ..AwsSettings::new(Arc::new(SystemClock))
    })
}

pub(crate) fn tick(nominal: &str) -> Tick {
    let nominal = nominal.parse().unwrap();
    Tick::at(nominal)
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Timeouts::default()).await
    }

    pub(crate) async fn with(timeouts: Timeouts) -> Self {
        let fake = Fake::start(FakeOptions::default()).await.unwrap();
        let aws = aws(fake.url(), timeouts);
        let mut registry = TriggerRegistry::new();
        registry.add(Sqs::new(aws.clone())).unwrap();
        Self { fake, aws, registry, minute: AtomicU8::new(0) }
    }

    /// Builds a trigger with these fields.
    pub(crate) fn trigger(&self, mut fields: Value) -> Arc<dyn Trigger> {
        fields["type"] = "sqs".into();
        let cx = BuildContext::new(&self.registry, "UTC", Scaling::default());
        self.registry.build(&fields, &cx).unwrap_or_else(|error| panic!("{fields}: {error}"))
    }

    pub(crate) async fn evaluate(&self, fields: Value) -> Result<Evaluation, TriggerError> {
        let minute = self.minute.fetch_add(1, Ordering::Relaxed);
        evaluate(&*self.trigger(fields), tick(&format!("2026-11-22T12:{minute:02}:00Z"))).await
    }

    /// Runs an evaluation that must fail, and returns the error with all its sources.
    pub(crate) async fn failure(&self, fields: Value) -> (TriggerError, String) {
        let error = self.evaluate(fields).await.unwrap_err();
        later().await;
        let error_chain = chain(&error);
        (error, error_chain)
    }

    /// Makes a queue with this many messages and returns its URL.
    pub(crate) fn queue(&self, name: &str, messages: usize) -> String {
        let url = self.fake.sqs().create_queue(name);
        self.fake.sqs().fill(&url, messages);
        url
    }

    pub(crate) fn call(&self, operation: &str, body: &Value) -> Value {
        self.fake.call(Service::Sqs, operation, body).unwrap()
    }

    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.fake.calls(Service::Sqs, operation).calls
    }
}

/// Advances time by a second, so that batched calls are made.
pub(crate) async fn later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    // Woken tasks need a step or two on this thread.
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
}

pub(crate) async fn evaluate(trigger: &dyn Trigger, tick: Tick) -> Result<Evaluation, TriggerError> {
    let job = JobId::new("job").unwrap();
    trigger.evaluate(&EvalContext::new(&job, tick, Scaling::default())).await
}

pub(crate) fn by_name(name: &str) -> Value {
    json!({ "queueName": name, "messagesPerTask": 10 })
}

pub(crate) fn moment(evaluation: &Evaluation) -> Timestamp {
    evaluation.observations[0].at
}
