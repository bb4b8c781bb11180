//! What is read: one metric, or an expression over several.

use std::fmt;
use std::sync::Arc;

use crate::expression::Expression;
use crate::window::Window;

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

/// What makes one time series.
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

/// What is asked of CloudWatch, apart from when. Equal queries of several jobs are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Query {
    pub(crate) series: Series,
    /// The account that owns the metrics, when it is not the caller's.
    pub(crate) account: Option<String>,
}

impl Query {
    /// Returns how many of a call's 500 queries it takes.
    pub(crate) fn weight(&self) -> usize {
        match &self.series {
            Series::Metric(_) => 1,
            Series::Math { metrics, .. } => metrics.len() + 1,
        }
    }

    /// Returns how many metrics AWS bills for it.
    pub(crate) fn metrics(&self) -> usize {
        match &self.series {
            Series::Metric(_) => 1,
            Series::Math { metrics, .. } => metrics.len().max(1),
        }
    }

    /// Tells whether it must have a call of its own.
    pub(crate) fn is_alone(&self) -> bool {
        match &self.series {
            Series::Metric(_) => false,
            Series::Math { expression, .. } => expression.is_alone(),
        }
    }
}

/// One reading: a query and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) query: Arc<Query>,
    pub(crate) window: Window,
}

/// One datapoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// When its period begins, in seconds since 1970.
    pub(crate) start: i64,
    pub(crate) value: f64,
}
