//! Counts of calls, throttles and failures, and an estimate of their cost.

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
use ecs_scheduler_core::call_stats::{CallMeter, CallStats, JobStats, OperationStats};
use ecs_scheduler_core::{Clock, JobId, Timestamp};
use parking_lot::Mutex;

use crate::credentials::CredentialsCache;
use crate::fault::{names_refused_credentials, names_throttling};
use crate::price;
use crate::skew::Skew;

#[cfg(test)]
mod tests;

/// Seconds of the month that estimates use: 30 days.
const SECONDS_PER_MONTH: f64 = 30.0 * 86_400.0;

/// Minimum time that an estimate is based on, in seconds. A shorter time would multiply the first call by a month.
const MIN_ELAPSED: f64 = 60.0;

/// Counts calls, throttles and failures since it was made, and estimates their cost.
#[derive(Debug)]
pub struct Meter {
    clock: Arc<dyn Clock>,
    since: Timestamp,
    usage: Mutex<UsageCounts>,
}

#[derive(Debug, Default)]
struct UsageCounts {
    operations: BTreeMap<(String, String), CallCounts>,
    units: BTreeMap<&'static str, u64>,
    jobs: BTreeMap<JobId, BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct CallCounts {
    calls: u64,
    throttles: u64,
    failures: u64,
}

impl Meter {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { since: clock.now(), clock, usage: Mutex::default() }
    }

    /// Records units that are billed instead of calls: the metrics of a `GetMetricData` call.
    pub fn record_units(&self, operation: &'static str, units: u64) {
        *self.usage.lock().units.entry(operation).or_default() += units;
    }

    /// Records that a job used a reading of this operation.
    pub fn record_use(&self, job: &JobId, operation: &'static str) {
        let mut usage = self.usage.lock();
        if let Some(uses) = usage.jobs.get_mut(job) {
            *uses.entry(operation).or_default() += 1;
            return;
        }
        usage.jobs.insert(job.clone(), BTreeMap::from([(operation, 1)]));
    }

    /// Returns the counts so far, and the cost of a month at this rate.
    #[must_use]
    pub fn report(&self) -> CallStats {
        let elapsed = self.clock.now().duration_since(self.since).as_secs_f64().max(MIN_ELAPSED);
        let usage = self.usage.lock();
        let mut report = CallStats::new(self.since);
        report.operations = usage.operation_stats(elapsed / SECONDS_PER_MONTH);
        report.jobs = usage.job_stats(&report.operations);
        report
    }

    fn record_call(&self, metadata: &Metadata, outcome: CallEvent) {
        let mut usage = self.usage.lock();
        let name = (metadata.service().to_owned(), metadata.name().to_owned());
        let counts = usage.operations.entry(name).or_default();
        match outcome {
            CallEvent::Call => counts.calls += 1,
            CallEvent::Throttled => counts.throttles += 1,
            CallEvent::Failed => counts.failures += 1,
        }
    }
}

impl CallMeter for Meter {
    fn report(&self) -> CallStats {
        self.report()
    }
}

impl UsageCounts {
    /// Returns the calls of each operation, and their cost at the rate of `months` so far.
    fn operation_stats(&self, months: f64) -> Vec<OperationStats> {
        let stats = self.operations.iter().map(|((service, operation), counts)| {
            let billed = if price::is_billed_by_unit(operation) {
                self.units.get(operation.as_str()).copied().unwrap_or_default()
            } else {
                counts.calls
            };
            let mut stats = OperationStats::new(service, operation);
            stats.calls = counts.calls;
            stats.throttles = counts.throttles;
            stats.failures = counts.failures;
            stats.dollars_per_month = to_f64(billed) * price::unit_price(service, operation) / months;
            stats
        });
        stats.collect()
    }

    /// Divides the cost of each operation among the jobs, by their readings.
    fn job_stats(&self, operations: &[OperationStats]) -> Vec<JobStats> {
        let mut readings: BTreeMap<&str, u64> = BTreeMap::new();
        for (operation, reads) in self.jobs.values().flatten() {
            *readings.entry(operation).or_default() += reads;
        }
        let cost = |operation: &str| -> f64 {
            operations.iter().filter(|all| all.operation == operation).map(|all| all.dollars_per_month).sum()
        };
        let costs: BTreeMap<&str, f64> =
            readings.iter().map(|(name, reads)| (*name, cost(name) / to_f64((*reads).max(1)))).collect();
        let mut jobs = Vec::new();
        for (job, uses) in &self.jobs {
            jobs.extend(uses.iter().map(|(operation, reads)| {
                let mut stats = JobStats::new(job.as_str(), *operation, *reads);
                stats.dollars_per_month = costs[operation] * to_f64(*reads);
                stats
            }));
        }
        jobs
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

enum CallEvent {
    Call,
    Throttled,
    Failed,
}

/// Counts every attempt of a client by service and operation. An error response also gives this machine's clock skew,
/// and clears refused credentials.
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
            self.meter.record_call(metadata, CallEvent::Call);
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
        if let Some(skew) = now.and_then(|time| Skew::measure(context.response(), time.now())) {
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
        self.meter.record_call(metadata, if throttled { CallEvent::Throttled } else { CallEvent::Failed });
        Ok(())
    }
}
