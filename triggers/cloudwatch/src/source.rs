//! What is asked of CloudWatch.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric as SdkMetric, MetricDataQuery, MetricStat, ScanBy, StandardUnit,
};
use ecs_scheduler_backend_aws::{Fault, Meter};
use ecs_scheduler_core::{FaultKind, SharedReading, Source, TriggerError, async_trait};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::batch_queries::pack;
use crate::limits;
use crate::query::{Key, Metric, Point, Query, Series};
use crate::query_result::Pages;
use crate::window::Window;

/// The operation, as bills and permissions name it.
pub(crate) const OPERATION: &str = "GetMetricData";

/// CloudWatch in one region of one account.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) meter: Arc<Meter>,
    /// For what is said when it fails.
    pub(crate) region: String,
    /// One for each call under way.
    pub(crate) turns: Semaphore,
    /// Queries for which CloudWatch refused a whole call.
    pub(crate) refused: Mutex<LruCache<Arc<Query>, ()>>,
}

/// Reads what has the same period and delay.
pub(crate) struct Metrics {
    pub(crate) site: Arc<Site>,
}

type Answers = HashMap<Key, SharedReading<Arc<[Point]>>>;

#[async_trait]
impl Source for Metrics {
    type Key = Key;
    type Reading = Arc<[Point]>;
    const MAX_KEYS: usize = limits::QUERIES;

    async fn read(&self, keys: &[Key]) -> Answers {
        let site = &self.site;
        let mut calls = pack(keys, |query| site.refused.lock().contains(query));
        let mut answers = HashMap::with_capacity(keys.len());
        while let Some(call) = calls.pop() {
            match site.call(&call).await {
                Ok(read) => answers.extend(read),
                // One query that is wrong spoils the call for all: the halves tell which it is.
                Err(fault) if fault.kind() == FaultKind::Config && call.len() > 1 => {
                    let (first, second) = call.split_at(call.len() / 2);
                    calls.extend([first.to_vec(), second.to_vec()]);
                }
                Err(fault) => answers.extend(site.failed(&call, fault)),
            }
        }
        answers
    }
}

impl Site {
    /// Reads queries in one call, however many pages the answer has.
    async fn call(&self, keys: &[&Key]) -> Result<Answers, Fault> {
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let end = keys.first().map_or(0, |key| key.window.end);
        let start = keys.iter().map(|key| key.window.start()).min().unwrap_or(end);
        let queries: Vec<MetricDataQuery> =
            keys.iter().enumerate().flat_map(|(index, key)| queries(index, key)).collect();
        let billed = keys.iter().map(|key| key.query.metrics()).sum::<usize>();
        let attempted = match keys {
            [key] => format!("could not read {} in {}", key.query.series, self.region),
            keys => format!("could not read {} metrics in {}", keys.len(), self.region),
        };
        let mut pages = Pages::default();
        let mut token: Option<String> = None;
        for _ in 0..limits::PAGES {
            let asked = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_secs(start))
                .end_time(DateTime::from_secs(end))
                .scan_by(ScanBy::TimestampDescending)
                .set_next_token(token.take());
            let page = asked.send().await.map_err(|error| Fault::of(error, attempted.as_str()))?;
            self.meter.charge(OPERATION, u64::try_from(billed).unwrap_or(u64::MAX));
            token = page.next_token.clone().filter(|token| !token.is_empty());
            pages.add(page);
            if token.is_none() {
                return Ok(self.answers(keys, pages));
            }
        }
        let message = format!("{attempted}: the answer does not end after {} pages", limits::PAGES);
        Err(Fault::new(FaultKind::Unavailable, message))
    }

    fn answers(&self, keys: &[&Key], mut pages: Pages) -> Answers {
        if let [key] = keys {
            self.refused.lock().pop(&key.query);
        }
        let read = keys.iter().enumerate().map(|(index, key)| {
            let points = pages.take(&id(index)).points(&key.query.series, &self.region);
            ((*key).clone(), points.map_err(Arc::new))
        });
        read.collect()
    }

    /// Makes the failure of a call that of each of its queries.
    fn failed(&self, keys: &[&Key], fault: Fault) -> Answers {
        if let (FaultKind::Config, [key]) = (fault.kind(), keys) {
            self.refused.lock().put(Arc::clone(&key.query), ());
        }
        let error = match fault.kind() {
            FaultKind::Denied if !fault.is_of_credentials() => {
                let message = format!(
                    "could not read metrics in {}; allow cloudwatch:{OPERATION} in the policy of the scheduler's role",
                    self.region
                );
                let said = fault.words().unwrap_or("no explanation");
                let code = fault.code().unwrap_or("no code");
                TriggerError::new(FaultKind::Denied, message).because(format!("{code}: {said}"))
            }
            FaultKind::Denied
            | FaultKind::Config
            | FaultKind::NotFound
            | FaultKind::Throttled
            | FaultKind::Unavailable
            | FaultKind::Bug => fault.into(),
        };
        let error = Arc::new(error);
        keys.iter().map(|key| ((*key).clone(), Err(Arc::clone(&error)))).collect()
    }
}

/// Names a query within its call.
fn id(index: usize) -> String {
    format!("q{index}")
}

/// Spells out a reading as the queries of a call.
fn queries(index: usize, Key { query, window }: &Key) -> Vec<MetricDataQuery> {
    let id = id(index);
    let builder = || MetricDataQuery::builder().set_account_id(query.account.clone());
    let (expression, metrics) = match &query.series {
        Series::Metric(metric) => return vec![builder().id(id).metric_stat(stat(metric, window)).build()],
        Series::Math { expression, metrics } => (expression, metrics),
    };
    let ids: Vec<&str> = metrics.iter().map(|(id, _)| id.as_str()).collect();
    // Alone in its call it keeps its names: `METRICS("x")` chooses by them.
    let keeps = expression.is_alone() && !ids.contains(&id.as_str());
    let prefix = if keeps { String::new() } else { format!("{id}_") };
    let named = metrics.iter().map(|(name, metric)| {
        builder().id(format!("{prefix}{name}")).metric_stat(stat(metric, window)).return_data(false).build()
    });
    let math = MetricDataQuery::builder().id(id).expression(expression.renamed(&prefix, &ids));
    let math = if expression.is_insights() { math.period(length(window)) } else { math };
    named.chain([math.build()]).collect()
}

fn stat(metric: &Metric, window: &Window) -> MetricStat {
    let dimension = |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
    let what = SdkMetric::builder()
        .namespace(&metric.namespace)
        .metric_name(&metric.name)
        .set_dimensions(Some(metric.dimensions.iter().map(dimension).collect()))
        .build();
    MetricStat::builder()
        .metric(what)
        .period(length(window))
        .stat(&metric.stat)
        .set_unit(metric.unit.as_deref().map(StandardUnit::from))
        .build()
}

fn length(window: &Window) -> i32 {
    i32::try_from(window.period).unwrap_or(i32::MAX)
}
