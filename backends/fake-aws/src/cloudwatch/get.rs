//! `GetMetricData`.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::{Value, json};

use super::data::{Series, Statistic};
use super::math::{Scope, Term, evaluate};
use super::settings::{CloudWatchSettings, DataStatus};
use super::{CloudWatchState, Metric};
use crate::place::Place;
use crate::wire::{Failure, read};

/// The most queries of one call.
const MOST_QUERIES: usize = 500;

/// The most data points on a page.
const MOST_POINTS: usize = 100_800;

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
struct Query {
    id: String,
    metric_stat: Option<MetricStat>,
    expression: Option<String>,
    label: Option<String>,
    return_data: Option<bool>,
    period: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat {
    metric: Metric,
    period: i64,
    stat: String,
}

/// The queries of a call, for those that refer to each other.
struct Call<'a> {
    state: &'a CloudWatchState,
    place: &'a Place,
    queries: &'a [Query],
    start: i64,
    end: i64,
    /// Ids that are being worked out, against circles.
    path: Vec<&'a str>,
}

/// What one query came to.
struct Found {
    id: String,
    label: String,
    status: DataStatus,
    points: Vec<(i64, f64)>,
}

fn refuse(message: impl Into<String>) -> Failure {
    Failure::client("ValidationError", message).queried("ValidationError")
}

impl Get {
    fn check(&self, start: i64, now: i64) -> Result<(), Failure> {
        if self.metric_data_queries.is_empty() || self.metric_data_queries.len() > MOST_QUERIES {
            return Err(refuse("The collection MetricDataQueries must have between 1 and 500 elements."));
        }
        if self.start_time >= self.end_time {
            return Err(refuse("The parameter StartTime must be less than the parameter EndTime."));
        }
        if !(1..=MOST_POINTS).contains(&self.max_datapoints.unwrap_or(MOST_POINTS)) {
            return Err(refuse("The parameter MaxDatapoints must be between 1 and 100800."));
        }
        if !["TimestampDescending", "TimestampAscending"]
            .contains(&self.scan_by.as_deref().unwrap_or("TimestampDescending"))
        {
            return Err(refuse("The parameter ScanBy must be TimestampDescending or TimestampAscending."));
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
    /// Fails on a query that is wrong in itself, when its data begin `age` seconds ago.
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
            (None, Some(_)) => return Ok(()),
            _ => {
                return Err(refuse(format!(
                    "Exactly one of MetricStat and Expression is needed for {}.",
                    self.id
                )));
            }
        };
        let period = stat.period;
        if !([1, 5, 10, 20, 30].contains(&period) || (period > 0 && period % 60 == 0)) {
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

impl<'a> Call<'a> {
    /// Works a query out.
    fn term(&self, query: &'a Query) -> Result<Term, String> {
        if let Some(stat) = &query.metric_stat {
            return Ok(Term::One(self.series(stat)));
        }
        if self.path.contains(&query.id.as_str()) {
            return Err(format!("{} refers to itself", query.id));
        }
        let mut path = self.path.clone();
        path.push(&query.id);
        let inner = Call { path, ..*self };
        evaluate(query.expression.as_deref().unwrap_or_default(), &inner)
    }

    fn series(&self, stat: &MetricStat) -> Series {
        let statistic = Statistic::parse(&stat.stat).expect("the statistic was checked");
        self.state.series(self.place, &stat.metric, stat.period, statistic, self.start..self.end)
    }

    fn find(
        &self,
        query: &'a Query,
        settings: &CloudWatchSettings,
        ascending: bool,
    ) -> Result<Found, Failure> {
        let wrong = |why: String| refuse(format!("Error in expression '{}': {why}", query.id));
        let Term::One(series) = self.term(query).map_err(wrong)? else {
            return Err(wrong("the result is not a single time series".to_owned()));
        };
        let status = settings.statuses.get(&query.id).copied().unwrap_or(DataStatus::Complete);
        let mut points: Vec<(i64, f64)> = series.into_iter().collect();
        match status {
            DataStatus::Complete => {}
            DataStatus::PartialData => points.truncate(points.len() / 2),
            DataStatus::InternalError | DataStatus::Forbidden => points.clear(),
        }
        if !ascending {
            points.reverse();
        }
        let metric = query.metric_stat.as_ref().map(|stat| stat.metric.name.clone());
        let label = query.label.clone().or(metric).unwrap_or_else(|| query.id.clone());
        Ok(Found { id: query.id.clone(), label, status, points })
    }
}

impl Scope for Call<'_> {
    fn lookup(&self, id: &str) -> Result<Term, String> {
        let query = self.queries.iter().find(|query| query.id == id);
        self.term(query.ok_or_else(|| format!("there is no id {id}"))?)
    }

    fn metrics(&self) -> Vec<Series> {
        self.queries
            .iter()
            .filter_map(|query| query.metric_stat.as_ref())
            .map(|stat| self.series(stat))
            .collect()
    }

    fn periods(&self) -> Vec<i64> {
        let metrics =
            self.queries.iter().filter_map(|query| query.metric_stat.as_ref()).map(|stat| stat.period);
        let own = self.queries.iter().filter_map(|query| query.period);
        let period = metrics.chain(own).min().unwrap_or(60).max(1);
        let first = self.start + (period - self.start.rem_euclid(period)) % period;
        (first..self.end).step_by(usize::try_from(period).unwrap_or(60)).collect()
    }
}

impl CloudWatchState {
    pub(crate) fn get_data(
        &self,
        place: &Place,
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
        let call = Call { state: self, place, queries, start, end, path: Vec::new() };
        let ascending = request.scan_by.as_deref() == Some("TimestampAscending");
        let wanted = queries.iter().filter(|query| query.return_data != Some(false));
        let found =
            wanted.map(|query| call.find(query, settings, ascending)).collect::<Result<Vec<_>, _>>()?;
        let size = settings
            .page_size
            .unwrap_or(MOST_POINTS)
            .min(request.max_datapoints.unwrap_or(MOST_POINTS))
            .max(1);
        page(found, size, request.next_token.as_deref(), fingerprint(body))
    }
}

/// Rounds a start down to what is kept of data of that age.
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

/// Makes the page of an answer that a token asks for: points are counted over all queries.
fn page(found: Vec<Found>, size: usize, token: Option<&str>, query: u64) -> Result<Value, Failure> {
    let number = |text: &str, radix| u64::from_str_radix(text, radix).ok();
    let from = match token {
        None => 0,
        Some(token) => {
            let offset = token.split_once('.').filter(|(_, of)| number(of, 16) == Some(query));
            let offset = offset.and_then(|(offset, _)| offset.parse::<usize>().ok());
            offset.ok_or_else(|| {
                Failure::client("InvalidNextToken", "The next token is invalid.").queried("InvalidNextToken")
            })?
        }
    };
    let total: usize = found.iter().map(|one| one.points.len()).sum();
    let (to, mut before, mut results) = (from + size, 0, Vec::new());
    for one in found {
        let (begin, end) = (before, before + one.points.len());
        before = end;
        let on_page = begin.max(from)..end.min(to);
        if on_page.is_empty() && !(begin == end && from == 0) {
            continue;
        }
        let points = one.points.get(on_page.start.saturating_sub(begin)..on_page.end.saturating_sub(begin));
        let points = points.unwrap_or_default();
        let status = if end > to { DataStatus::PartialData } else { one.status };
        results.push(json!({
            "Id": one.id,
            "Label": one.label,
            "StatusCode": status.name(),
            "Timestamps": points.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            "Values": points.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
        }));
    }
    let mut answer = json!({ "MetricDataResults": results, "Messages": [] });
    if to < total {
        answer["NextToken"] = json!(format!("{to}.{query:x}"));
    }
    Ok(answer)
}

fn fingerprint(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        if name != "NextToken" {
            (name, value.to_string()).hash(&mut hasher);
        }
    }
    hasher.finish()
}
