//! Limits of CloudWatch, and the limits that the trigger sets itself.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Maximum number of queries in one `GetMetricData` call.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
pub(crate) const MAX_QUERIES: usize = 500;

/// Maximum number of datapoints on one page.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
pub(crate) const MAX_DATAPOINTS: usize = 100_800;

/// Maximum number of pages that are read of one response. A call requests less than one full page.
pub(crate) const MAX_PAGES: usize = 20;

/// Maximum number of dimensions of a metric.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Metric.html>
pub(crate) const MAX_DIMENSIONS: usize = 30;

/// Maximum length of a namespace, a metric's name, a dimension's name, and an id.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Metric.html>
pub(crate) const MAX_NAME_LENGTH: usize = 255;

/// Maximum length of a dimension's value.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html>
pub(crate) const MAX_VALUE_LENGTH: usize = 1_024;

/// Maximum length of an expression.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html>
pub(crate) const MAX_EXPRESSION_LENGTH: usize = 2_048;

/// Maximum number of metrics in one expression: as many as an alarm on an expression may have.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html>
pub(crate) const MAX_METRICS: usize = 10;

/// Periods shorter than a minute, in seconds; longer ones are multiples of 60.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html>
pub(crate) const SHORT_PERIODS: [u32; 5] = [1, 5, 10, 20, 30];

/// The longest period, in seconds: a day.
pub(crate) const MAX_PERIOD: u32 = 86_400;

/// Maximum number of datapoints that a job evaluates. The datapoints of 500 such queries, with the extra ones, fit
/// into one page.
pub(crate) const MAX_EVALUATION_PERIODS: u32 = 100;

/// The longest `delay`, in seconds: a day.
pub(crate) const MAX_DELAY: u32 = 86_400;

/// Maximum number of steps of a job.
pub(crate) const MAX_STEPS: usize = 50;

/// Retention of datapoints in seconds: of periods under a minute, of whole minutes, of multiples of five minutes, of
/// whole hours.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html>
pub(crate) const RETENTION: [(u32, u32); 4] =
    [(3_600, 455 * 86_400), (300, 63 * 86_400), (60, 15 * 86_400), (1, 3 * 3_600)];

/// Maximum number of concurrent calls in one scope. The quota is 50 calls a second for each region of an account.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>
pub(crate) const MAX_CONCURRENT_READS: usize = 8;

/// Maximum number of waiting queries in one scope for each combination of period and delay.
pub(crate) const MAX_WAITING: usize = 16_384;

/// Timeout of a reading: slightly longer than the client's own 15 s a page, so that the client reports the cause.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for which evaluations are collected into calls after the newest one. A full call goes at once.
pub(crate) const BATCH_WINDOW: Duration = Duration::from_millis(100);

/// Maximum time for which evaluations are collected, so that the jobs of a large round share calls although
/// evaluating all of them takes a while.
pub(crate) const MAX_BATCH_WINDOW: Duration = Duration::from_secs(2);

/// Maximum number of combinations of period and delay with batchers of their own in each scope.
pub(crate) const MAX_BATCHERS: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");

/// Maximum number of refused queries that are remembered in each scope, so that they spoil no other query's call.
pub(crate) const MAX_REFUSED: NonZeroUsize = NonZeroUsize::new(1_024).expect("1,024 is not zero");
