//! Queries: one metric, or an expression over several.

use std::fmt;
use std::sync::Arc;

use crate::expression::Expression;
use crate::window::ReadWindow;

/// One metric with its statistic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Metric {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// In alphabetical order.
    pub(crate) dimensions: Vec<(String, String)>,
    pub(crate) stat: String,
    pub(crate) unit: Option<String>,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.namespace, self.name, self.stat)?;
        for (name, value) in &self.dimensions {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

/// The origin of one time series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Series {
    Metric(Metric),
    Math {
        expression: Expression,
        /// By the id that the expression names them with.
        metrics: Vec<(String, Metric)>,
    },
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(metric) => metric.fmt(f),
            Self::Math { expression, .. } => f.write_str(expression.as_str()),
        }
    }
}

/// A query without its window. Equal queries of several jobs are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MetricQuery {
    pub(crate) series: Series,
    /// The account that owns the metrics, if it is not the caller's.
    pub(crate) account: Option<String>,
}

impl MetricQuery {
    /// Returns its number of queries out of the 500 of a call.
    pub(crate) fn query_count(&self) -> usize {
        match &self.series {
            Series::Metric(_) => 1,
            Series::Math { metrics, .. } => metrics.len() + 1,
        }
    }

    /// Returns the number of metrics that AWS bills for it.
    pub(crate) fn billed_metrics(&self) -> usize {
        match &self.series {
            Series::Metric(_) => 1,
            Series::Math { metrics, .. } => metrics.len().max(1),
        }
    }

    /// Tells whether it needs a call of its own.
    pub(crate) fn needs_own_call(&self) -> bool {
        match &self.series {
            Series::Metric(_) => false,
            Series::Math { expression, .. } => expression.needs_own_call(),
        }
    }
}

/// One reading: a query and its window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ReadingKey {
    pub(crate) query: Arc<MetricQuery>,
    pub(crate) window: ReadWindow,
}

/// One datapoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// The start of its period, in seconds since 1970.
    pub(crate) start: i64,
    pub(crate) value: f64,
}
