//! `GetMetricData`.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::data::Statistic;
use super::page::{fingerprint, page};
use super::settings::CloudWatchSettings;
use super::{CloudWatchState, Metric, insights, unit};
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// Maximum number of queries in one call.
const MAX_QUERIES: usize = 500;

/// Maximum number of data points on a page.
const MAX_POINTS: usize = 100_800;

/// The message about dropped series.
const TRUNCATED_MESSAGE: &str = "Maximum number of allowed metrics exceeded";

/// Maximum number of time series that a search or a query finds.
const MAX_FOUND: usize = 500;

const DAY: i64 = 86_400;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    #[serde(default)]
    metric_data_queries: Vec<Query>,
    start_time: f64,
    end_time: f64,
    scan_by: Option<String>,
    max_datapoints: Option<usize>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Query {
    pub(crate) id: String,
    pub(crate) metric_stat: Option<MetricStat>,
    pub(crate) expression: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) return_data: Option<bool>,
    pub(crate) period: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MetricStat {
    pub(crate) metric: Metric,
    pub(crate) period: i64,
    pub(crate) stat: String,
    pub(crate) unit: Option<String>,
}

pub(crate) fn refuse(message: impl Into<String>) -> Failure {
    Failure::client("ValidationError", message).queried("ValidationError")
}

impl Get {
    fn check(&self, start: i64, now: i64) -> Result<(), Failure> {
        if self.metric_data_queries.is_empty() || self.metric_data_queries.len() > MAX_QUERIES {
            return Err(refuse("The collection MetricDataQueries must have between 1 and 500 elements."));
        }
        if self.start_time >= self.end_time {
            return Err(refuse("The parameter StartTime must be less than the parameter EndTime."));
        }
        if !(1..=MAX_POINTS).contains(&self.max_datapoints.unwrap_or(MAX_POINTS)) {
            return Err(refuse("The parameter MaxDatapoints must be between 1 and 100800."));
        }
        if !["TimestampDescending", "TimestampAscending"]
            .contains(&self.scan_by.as_deref().unwrap_or("TimestampDescending"))
        {
            return Err(refuse("The parameter ScanBy must be TimestampDescending or TimestampAscending."));
        }
        let queries = self.metric_data_queries.iter().filter_map(|query| query.expression.as_deref());
        if queries.filter(|text| insights::is_query(text)).count() > 1 {
            return Err(refuse("A GetMetricData operation can have only one Metrics Insights query."));
        }
        let mut ids = BTreeSet::new();
        for query in &self.metric_data_queries {
            query.check(now - start)?;
            if !ids.insert(&query.id) {
                return Err(refuse(format!("The id {} is used twice in MetricDataQueries.", query.id)));
            }
        }
        Ok(())
    }
}

impl Query {
    /// Fails on a query that is invalid in itself, if its data begin `age` seconds ago.
    fn check(&self, age: i64) -> Result<(), Failure> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !self.id.starts_with(|c: char| c.is_ascii_lowercase()) || !self.id.chars().all(allowed) {
            return Err(refuse(format!(
                "The value {} for parameter Id is not matching the expected pattern.",
                self.id
            )));
        }
        let stat = match (&self.metric_stat, &self.expression) {
            (Some(stat), None) => stat,
            (None, Some(text)) if insights::is_query(text) && self.period.is_none() => {
                return Err(refuse(format!("Period must be given for the query {}.", self.id)));
            }
            (None, Some(_)) => return Ok(()),
            _ => {
                return Err(refuse(format!(
                    "Exactly one of MetricStat and Expression is needed for {}.",
                    self.id
                )));
            }
        };
        if let Some(name) = &stat.unit {
            unit::parse(name).map_err(|failure| refuse(failure.message))?;
        }
        let period = stat.period;
        if !is_period(period) {
            return Err(refuse("Period must be 1, 5, 10, 20, 30 or a multiple of 60."));
        }
        let coarsest = [(63 * DAY, 3600), (15 * DAY, 300), (DAY / 8, 60)];
        let needed = coarsest.into_iter().find(|(older, _)| age > *older).map_or(1, |(_, period)| period);
        if period % needed != 0 {
            return Err(refuse(format!(
                "Data of this age are kept with periods that are multiples of {needed} only."
            )));
        }
        if Statistic::parse(&stat.stat).is_none() {
            return Err(refuse(format!("The value {} for parameter Stat is not supported.", stat.stat)));
        }
        Ok(())
    }
}

pub(crate) fn is_period(period: i64) -> bool {
    [1, 5, 10, 20, 30].contains(&period) || (period > 0 && period % 60 == 0)
}

impl CloudWatchState {
    pub(crate) fn get_data(
        &self,
        scope: &AwsScope,
        body: &Value,
        now: i64,
        settings: &CloudWatchSettings,
    ) -> Result<Value, Failure> {
        let request: Get = read(body)?;
        let start = rounded_start(request.start_time, now);
        request.check(start, now)?;
        let queries = &request.metric_data_queries;
        #[expect(clippy::cast_possible_truncation, reason = "seconds of this era are far within 64 bits")]
        let end = request.end_time.ceil() as i64;
        let said = RefCell::default();
        let most_found = settings.most_found.unwrap_or(MAX_FOUND);
        let call =
            Call { state: self, scope, queries, start, end, now, most_found, said: &said, path: Vec::new() };
        let ascending = request.scan_by.as_deref() == Some("TimestampAscending");
        let wanted = queries.iter().filter(|query| query.return_data != Some(false));
        let found = wanted
            .map(|query| call.find(query, settings, ascending))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        let size =
            settings.page_size.unwrap_or(MAX_POINTS).min(request.max_datapoints.unwrap_or(MAX_POINTS)).max(1);
        let mut answer = page(found, size, request.next_token.as_deref(), fingerprint(body))?;
        let said = said.take().into_iter().map(|code| json!({ "Code": code, "Value": TRUNCATED_MESSAGE }));
        answer["Messages"] = said.collect();
        Ok(answer)
    }
}

/// Rounds a start down to the resolution of data of that age.
fn rounded_start(start: f64, now: i64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "seconds of this era are far within 64 bits")]
    let start = start.floor() as i64;
    let age = now - start;
    let step = if age > 63 * DAY {
        3600
    } else if age > 15 * DAY {
        300
    } else {
        60
    };
    start - start.rem_euclid(step)
}
