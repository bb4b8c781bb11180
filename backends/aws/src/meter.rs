//! Calls made, throttled and failed, and what they cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use ecs_scheduler_core::{Clock, JobId, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;

use crate::credentials::CredentialsCache;
use crate::fault::{names_refused_credentials, names_throttling};
use crate::price;
use crate::skew::Skew;

#[cfg(test)]
mod tests;

/// Seconds of the month that estimates are made for: 30 days.
const MONTH: f64 = 30.0 * 86_400.0;

/// The shortest time that an estimate is made from, in seconds; less would multiply the first call by a month.
const SHORTEST: f64 = 60.0;

/// Calls made, throttled and failed, and what they cost, since it was made.
#[derive(Debug)]
pub struct Meter {
    clock: Arc<dyn Clock>,
    since: Timestamp,
    tallies: Mutex<Tallies>,
}

#[derive(Debug, Default)]
struct Tallies {
    operations: BTreeMap<(String, String), Tally>,
    units: BTreeMap<&'static str, u64>,
    jobs: BTreeMap<JobId, BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    calls: u64,
    throttles: u64,
    failures: u64,
}

/// What a [`Meter`] counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeterReport {
    /// Since when.
    pub since: Timestamp,
    /// By service and operation, in alphabetical order.
    pub operations: Vec<OperationUse>,
    /// By job and operation.
    pub jobs: Vec<JobUse>,
}

/// Calls of one operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationUse {
    /// `ECS`, `SQS`, `CloudWatch`.
    pub service: String,
    /// `RunTask`.
    pub operation: String,
    /// Attempts sent, repetitions included.
    pub calls: u64,
    /// Attempts that were throttled.
    pub throttles: u64,
    /// Attempts that failed otherwise.
    pub failures: u64,
    /// What a month costs at the rate so far.
    pub dollars_per_month: f64,
}

/// What one job's evaluations and launches used.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobUse {
    /// The job.
    pub job: JobId,
    /// `GetQueueAttributes`.
    pub operation: String,
    /// How many readings it used; one call may have served several jobs.
    pub reads: u64,
    /// Its part of what a month costs at the rate so far: the operation's cost by share of its readings.
    pub dollars_per_month: f64,
}

impl Meter {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { since: clock.now(), clock, tallies: Mutex::default() }
    }

    /// Notes units that are billed instead of calls: the metrics of a `GetMetricData` call.
    pub fn charge(&self, operation: &'static str, units: u64) {
        *self.tallies.lock().units.entry(operation).or_default() += units;
    }

    /// Notes that a job used a reading of that operation.
    pub fn used(&self, job: &JobId, operation: &'static str) {
        let mut tallies = self.tallies.lock();
        if let Some(uses) = tallies.jobs.get_mut(job) {
            *uses.entry(operation).or_default() += 1;
            return;
        }
        tallies.jobs.insert(job.clone(), BTreeMap::from([(operation, 1)]));
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn report(&self) -> MeterReport {
        let elapsed = self.clock.now().duration_since(self.since).as_secs_f64().max(SHORTEST);
        let tallies = self.tallies.lock();
        let operations: Vec<_> =
            tallies.operations.iter().map(|(name, tally)| used(name, *tally, &tallies)).collect();
        let operations = operations
            .into_iter()
            .map(|(use_, dollars)| OperationUse { dollars_per_month: dollars / elapsed * MONTH, ..use_ });
        let operations: Vec<_> = operations.collect();
        let jobs = tallies.shares(&operations);
        MeterReport { since: self.since, operations, jobs }
    }

    fn called(&self, metadata: &Metadata, outcome: Sent) {
        let mut tallies = self.tallies.lock();
        let name = (metadata.service().to_owned(), metadata.name().to_owned());
        let tally = tallies.operations.entry(name).or_default();
        match outcome {
            Sent::Call => tally.calls += 1,
            Sent::Throttled => tally.throttles += 1,
            Sent::Failed => tally.failures += 1,
        }
    }
}

/// Returns an operation's use without its monthly cost, and what it cost so far.
fn used((service, operation): &(String, String), tally: Tally, tallies: &Tallies) -> (OperationUse, f64) {
    let billed = if price::by_unit(operation) {
        tallies.units.get(operation.as_str()).copied().unwrap_or_default()
    } else {
        tally.calls
    };
    let use_ = OperationUse {
        service: service.clone(),
        operation: operation.clone(),
        calls: tally.calls,
        throttles: tally.throttles,
        failures: tally.failures,
        dollars_per_month: 0.0,
    };
    (use_, float(billed) * price::dollars(service, operation))
}

impl Tallies {
    /// Divides what each operation costs among the jobs, by their readings.
    fn shares(&self, operations: &[OperationUse]) -> Vec<JobUse> {
        let mut readings: BTreeMap<&str, u64> = BTreeMap::new();
        for (operation, reads) in self.jobs.values().flatten() {
            *readings.entry(operation).or_default() += reads;
        }
        let cost = |operation: &str| -> f64 {
            operations.iter().filter(|all| all.operation == operation).map(|all| all.dollars_per_month).sum()
        };
        let costs: BTreeMap<&str, f64> =
            readings.iter().map(|(name, reads)| (*name, cost(name) / float((*reads).max(1)))).collect();
        let mut jobs = Vec::new();
        for (job, uses) in &self.jobs {
            jobs.extend(uses.iter().map(|(operation, reads)| JobUse {
                job: job.clone(),
                operation: (*operation).to_owned(),
                reads: *reads,
                dollars_per_month: costs[operation] * float(*reads),
            }));
        }
        jobs
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

enum Sent {
    Call,
    Throttled,
    Failed,
}

/// Counts every attempt of a client by service and operation, and takes what an error tells beside its words: how far this
/// machine's clock is off, and whether credentials are to be loaded again.
#[derive(Debug, Clone)]
pub struct Metering {
    meter: Arc<Meter>,
    credentials: CredentialsCache,
}

impl Metering {
    pub(crate) fn new(meter: Arc<Meter>, credentials: CredentialsCache) -> Self {
        Self { meter, credentials }
    }
}

impl Intercept for Metering {
    fn name(&self) -> &'static str {
        "Metering"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = cfg.load::<Metadata>() {
            self.meter.called(metadata, Sent::Call);
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let now = components.time_source().filter(|_| !context.response().status().is_success());
        if let Some(skew) = now.and_then(|time| Skew::of(context.response(), time.now())) {
            context.response_mut().add_extension(skew);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(metadata) = cfg.load::<Metadata>() else { return Ok(()) };
        if !matches!(context.output_or_error(), Some(Err(_))) {
            return Ok(());
        }
        let throttled = context.response().is_some_and(|response| {
            let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
            if names_refused_credentials(&body) {
                self.credentials.clear();
            }
            response.status().as_u16() == 429 || names_throttling(&body)
        });
        self.meter.called(metadata, if throttled { Sent::Throttled } else { Sent::Failed });
        Ok(())
    }
}
