//! Calls to CloudWatch.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric as SdkMetric, MetricDataQuery, MetricStat, ScanBy, StandardUnit,
};
use ecs_scheduler_backend_aws::{Fault, Meter};
use ecs_scheduler_core::{FaultKind, Source, TriggerError, async_trait};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::batch_queries::batch_queries;
use crate::limits;
use crate::query::{Metric, MetricQuery, Point, ReadingKey, Series};
use crate::query_result::ResultPages;
use crate::window::ReadWindow;

/// The operation's name in bills and permissions.
pub(crate) const OPERATION: &str = "GetMetricData";

/// CloudWatch in one region of one account.
pub(crate) struct CloudWatchRegion {
    pub(crate) client: Client,
    pub(crate) meter: Arc<Meter>,
    /// The region, for error messages.
    pub(crate) region: String,
    /// One permit for each concurrent call.
    pub(crate) permits: Semaphore,
    /// Queries for which CloudWatch refused a whole call.
    pub(crate) refused: Mutex<LruCache<Arc<MetricQuery>, ()>>,
}

/// Reads queries that have the same period and delay.
pub(crate) struct MetricSource {
    pub(crate) region_client: Arc<CloudWatchRegion>,
}

type Readings = HashMap<ReadingKey, Result<Arc<[Point]>, TriggerError>>;

#[async_trait]
impl Source for MetricSource {
    type Key = ReadingKey;
    type Reading = Arc<[Point]>;
    const MAX_KEYS: usize = limits::MAX_QUERIES;

    async fn read(&self, keys: &[ReadingKey]) -> Readings {
        let region_client = &self.region_client;
        let mut calls = batch_queries(keys, |query| region_client.refused.lock().contains(query));
        let mut readings = HashMap::with_capacity(keys.len());
        while let Some(call) = calls.pop() {
            match region_client.read_call(&call).await {
                Ok(read) => readings.extend(read),
                // One invalid query makes CloudWatch refuse the whole call. Splitting it in halves finds the query.
                Err(fault) if fault.kind() == FaultKind::Config && call.len() > 1 => {
                    let (first, second) = call.split_at(call.len() / 2);
                    calls.extend([first.to_vec(), second.to_vec()]);
                }
                Err(fault) => readings.extend(region_client.fan_out_fault(&call, fault)),
            }
        }
        readings
    }
}

impl CloudWatchRegion {
    /// Reads queries in one call, over all pages.
    async fn read_call(&self, keys: &[&ReadingKey]) -> Result<Readings, Fault> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let end = keys.first().map_or(0, |key| key.window.end);
        let start = keys.iter().map(|key| key.window.start()).min().unwrap_or(end);
        let queries: Vec<MetricDataQuery> =
            keys.iter().enumerate().flat_map(|(index, key)| queries(index, key)).collect();
        let billed = keys.iter().map(|key| key.query.billed_metrics()).sum::<usize>();
        let attempted = match keys {
            [key] => format!("could not read {} in {}", key.query.series, self.region),
            keys => format!("could not read {} metrics in {}", keys.len(), self.region),
        };
        let mut pages = ResultPages::default();
        let mut token: Option<String> = None;
        for _ in 0..limits::MAX_PAGES {
            let request = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_secs(start))
                .end_time(DateTime::from_secs(end))
                .scan_by(ScanBy::TimestampDescending)
                .set_next_token(token.take());
            let page = request.send().await.map_err(|error| Fault::from_sdk(error, attempted.as_str()))?;
            self.meter.record_units(OPERATION, u64::try_from(billed).unwrap_or(u64::MAX));
            token = page.next_token.clone().filter(|token| !token.is_empty());
            pages.add(page);
            if token.is_none() {
                return Ok(self.collect_readings(keys, pages));
            }
        }
        let message = format!("{attempted}: the response does not end after {} pages", limits::MAX_PAGES);
        Err(Fault::new(FaultKind::Unavailable, message))
    }

    fn collect_readings(&self, keys: &[&ReadingKey], mut pages: ResultPages) -> Readings {
        if let [key] = keys {
            self.refused.lock().pop(&key.query);
        }
        let read = keys.iter().enumerate().map(|(index, key)| {
            let points = pages.take(&id(index)).points(&key.query.series, &self.region);
            ((*key).clone(), points)
        });
        read.collect()
    }

    /// Makes the failure of a call the failure of each of its queries.
    fn fan_out_fault(&self, keys: &[&ReadingKey], fault: Fault) -> Readings {
        if let (FaultKind::Config, [key]) = (fault.kind(), keys) {
            self.refused.lock().put(Arc::clone(&key.query), ());
        }
        let error = match fault.kind() {
            FaultKind::Denied if !fault.is_credentials_fault() => {
                let message = format!(
                    "could not read metrics in {}; allow cloudwatch:{OPERATION} in the policy of the scheduler's role",
                    self.region
                );
                TriggerError::new(FaultKind::Denied, message).with_source(fault.service_answer())
            }
            FaultKind::Denied
            | FaultKind::Config
            | FaultKind::NotFound
            | FaultKind::Throttled
            | FaultKind::Unavailable
            | FaultKind::Bug => fault.into(),
        };
        keys.iter().map(|key| ((*key).clone(), Err(error.clone()))).collect()
    }
}

/// Returns the name of a query within its call.
fn id(index: usize) -> String {
    format!("q{index}")
}

/// Builds the queries of a reading.
fn queries(index: usize, ReadingKey { query, window }: &ReadingKey) -> Vec<MetricDataQuery> {
    let id = id(index);
    let builder = || MetricDataQuery::builder().set_account_id(query.account.clone());
    let (expression, metrics) = match &query.series {
        Series::Metric(metric) => return vec![builder().id(id).metric_stat(stat(metric, window)).build()],
        Series::Math { expression, metrics } => (expression, metrics),
    };
    let ids: Vec<&str> = metrics.iter().map(|(id, _)| id.as_str()).collect();
    // An expression with a call of its own keeps its names: `METRICS("x")` selects by them.
    let keep_names = expression.needs_own_call() && !ids.contains(&id.as_str());
    let prefix = if keep_names { String::new() } else { format!("{id}_") };
    let named = metrics.iter().map(|(name, metric)| {
        builder().id(format!("{prefix}{name}")).metric_stat(stat(metric, window)).return_data(false).build()
    });
    let math = MetricDataQuery::builder().id(id).expression(expression.renamed(&prefix, &ids));
    let math = if expression.is_insights() { math.period(length(window)) } else { math };
    named.chain([math.build()]).collect()
}

fn stat(metric: &Metric, window: &ReadWindow) -> MetricStat {
    let dimension = |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
    let sdk_metric = SdkMetric::builder()
        .namespace(&metric.namespace)
        .metric_name(&metric.name)
        .set_dimensions(Some(metric.dimensions.iter().map(dimension).collect()))
        .build();
    MetricStat::builder()
        .metric(sdk_metric)
        .period(length(window))
        .stat(&metric.stat)
        .set_unit(metric.unit.as_deref().map(StandardUnit::from))
        .build()
}

fn length(window: &ReadWindow) -> i32 {
    i32::try_from(window.period).unwrap_or(i32::MAX)
}
