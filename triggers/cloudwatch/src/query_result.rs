//! The result of one query, over all pages: one time series, or an error.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
use aws_sdk_cloudwatch::types::{MessageData, MetricDataResult, StatusCode};
use ecs_scheduler_core::{FaultKind, TriggerError};

use crate::query::{Point, Series};

#[cfg(test)]
mod tests;

/// Maximum number of labels in an error.
const MAX_LABELS: usize = 5;

/// The results of a call, by the id of their query.
#[derive(Default)]
pub(crate) struct ResultPages {
    answers: HashMap<String, QueryResult>,
    /// Number of pages read.
    pages: usize,
}

/// All results with one id.
#[derive(Default)]
pub(crate) struct QueryResult {
    parts: Vec<SeriesPart>,
    messages: Vec<String>,
    /// Whether CloudWatch left out some metrics of a search or query, because there were too many.
    limited: bool,
}

/// One time series.
struct SeriesPart {
    label: Option<String>,
    points: Vec<Point>,
    status: Option<StatusCode>,
    /// The newest page on which the series appeared.
    page: usize,
}

impl ResultPages {
    /// Adds a page.
    pub(crate) fn add(&mut self, page: GetMetricDataOutput) {
        let number = self.pages;
        self.pages += 1;
        let of_the_call = page.messages.unwrap_or_default();
        for result in page.metric_data_results.unwrap_or_default() {
            let answer = self.answers.entry(result.id.clone().unwrap_or_default()).or_default();
            let messages = result.messages.iter().flatten().chain(&of_the_call);
            for message in messages {
                answer.limited |= is_limit(message);
                answer.messages.push(text(message));
            }
            answer.add(result, number);
        }
    }

    /// Removes and returns the result of a query.
    pub(crate) fn take(&mut self, id: &str) -> QueryResult {
        self.answers.remove(id).unwrap_or_default()
    }
}

impl QueryResult {
    /// Adds a result: the next part of a series of an earlier page, or another series.
    ///
    /// CloudWatch marks a series that continues on a later page as `PartialData` (or `InternalError`) and repeats its
    /// label there. Two results of one page are two series, even if their labels are equal.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataResult.html>
    fn add(&mut self, result: MetricDataResult, page: usize) {
        let MetricDataResult { label, timestamps, values, status_code, .. } = result;
        let starts = timestamps.unwrap_or_default().into_iter().map(|time| time.secs());
        let points = starts.zip(values.unwrap_or_default()).map(|(start, value)| Point { start, value });
        let continued = self.parts.iter_mut().find(|part| {
            part.page < page && part.label == label && part.status != Some(StatusCode::Complete)
        });
        match continued {
            Some(part) => {
                part.points.extend(points);
                part.status = status_code.or(part.status.take());
                part.page = page;
            }
            None => {
                self.parts.push(SeriesPart { label, points: points.collect(), status: status_code, page });
            }
        }
    }

    /// Returns the datapoints of the one series, newest first.
    ///
    /// # Errors
    ///
    /// Fails if there are several series, if CloudWatch left out metrics, or if the datapoints are not complete.
    pub(crate) fn points(mut self, series: &Series, region: &str) -> Result<Arc<[Point]>, TriggerError> {
        let attempted = format!("could not read {series} in {region}");
        match series {
            // A metric is one series by definition, with any labels.
            Series::Metric(_) => self.join(),
            Series::Math { expression, .. } if self.parts.len() > 1 => {
                let message = format!(
                    "{attempted}: the expression makes {} time series; {}",
                    self.parts.len(),
                    expression.remedy()
                );
                return Err(TriggerError::new(FaultKind::Config, message).with_source(self.labels()));
            }
            // A search that finds no metric has no result at all.
            Series::Math { expression, .. } if self.parts.is_empty() && expression.needs_own_call() => {
                return Ok(Arc::new([]));
            }
            Series::Math { .. } => {}
        }
        if self.limited {
            let message = format!("{attempted}: CloudWatch left out some of the metrics; search for fewer");
            return Err(TriggerError::new(FaultKind::Config, message).with_source(self.messages.join("; ")));
        }
        let SeriesPart { mut points, status, .. } = self.parts.pop().unwrap_or(SeriesPart::NONE);
        let (kind, said) = match &status {
            Some(StatusCode::Complete) => {
                points.sort_by_key(|point| std::cmp::Reverse(point.start));
                return Ok(points.into());
            }
            Some(StatusCode::Forbidden) => (FaultKind::Denied, "Forbidden"),
            Some(status) => (FaultKind::Unavailable, status.as_str()),
            None => (FaultKind::Unavailable, "no answer"),
        };
        let error = TriggerError::new(kind, format!("{attempted}: CloudWatch said {said}"));
        Err(if self.messages.is_empty() { error } else { error.with_source(self.messages.join("; ")) })
    }

    /// Joins all parts into one series. The status of the last part is that of the whole.
    fn join(&mut self) {
        let parts = std::mem::take(&mut self.parts).into_iter();
        self.parts.extend(parts.reduce(|mut whole, part| {
            whole.points.extend(part.points);
            whole.status = part.status.or(whole.status);
            whole
        }));
    }

    fn labels(&self) -> String {
        let named =
            self.parts.iter().take(MAX_LABELS).map(|part| part.label.as_deref().unwrap_or("no label"));
        let more = if self.parts.len() > MAX_LABELS { ", …" } else { "" };
        format!("they are {}{more}", named.collect::<Vec<_>>().join(", "))
    }
}

impl SeriesPart {
    const NONE: Self = Self { label: None, points: Vec::new(), status: None, page: 0 };
}

/// Tells whether a message says that metrics were left out: `MaxMetricsExceeded`, `MaxQueryResultsExceeded` and the like.
fn is_limit(message: &MessageData) -> bool {
    message.code().is_some_and(|code| code.starts_with("Max") && code.ends_with("Exceeded"))
}

fn text(message: &MessageData) -> String {
    format!("{}: {}", message.code().unwrap_or("message"), message.value().unwrap_or_default())
}
