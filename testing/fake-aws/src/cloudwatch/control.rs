//! Control of the fake `CloudWatch` by tests, without HTTP.

use jiff::Timestamp;
use serde_json::json;

use crate::fake::Fake;

/// The control of the fake `CloudWatch`, from the same process.
#[derive(Debug, Clone, Copy)]
pub struct CloudWatchControl<'a>(pub(crate) &'a Fake);

impl CloudWatchControl<'_> {
    /// Puts one value of a metric, of AWS's own namespaces too.
    ///
    /// # Panics
    ///
    /// Panics when the moment is more than two weeks ago or more than two hours ahead.
    pub fn put(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], at: Timestamp, value: f64) {
        self.put_in("None", namespace, name, dimensions, at, value);
    }

    /// Puts one value with a unit.
    ///
    /// # Panics
    ///
    /// Panics when there is no such unit, and as [`put`](Self::put) does.
    pub fn put_in(
        &self,
        unit: &str,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        at: Timestamp,
        value: f64,
    ) {
        let dimensions: Vec<_> =
            dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        let datum = json!({
            "MetricName": name, "Dimensions": dimensions, "Timestamp": at.as_second(), "Value": value,
            "Unit": unit,
        });
        let call = json!({ "Namespace": namespace, "MetricData": [datum] });
        let kept = self.0.put_metrics(&call);
        kept.expect("the moment is near enough, and there is such a unit");
    }
}
