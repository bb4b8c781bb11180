//! What CloudWatch allows, and how much of it is used.

use std::num::NonZeroUsize;
use std::time::Duration;

/// The most queries of one `GetMetricData` call.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
pub(crate) const QUERIES: usize = 500;

/// The most datapoints of one answer; more come in further pages.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
pub(crate) const DATAPOINTS: usize = 100_800;

/// Pages that are read of one answer. A call asks for less than one full page holds.
pub(crate) const PAGES: usize = 20;

/// The most dimensions of a metric.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Metric.html>
pub(crate) const DIMENSIONS: usize = 30;

/// The most characters of a namespace, a metric's name, a dimension's name, and an id.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Metric.html>
pub(crate) const NAME: usize = 255;

/// The most characters of a dimension's value.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html>
pub(crate) const VALUE: usize = 1_024;

/// The most characters of an expression.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html>
pub(crate) const EXPRESSION: usize = 2_048;

/// The most metrics of one expression: as many as an alarm on an expression may have.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html>
pub(crate) const METRICS: usize = 10;

/// Periods shorter than a minute, in seconds; longer ones are multiples of 60.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html>
pub(crate) const SHORT_PERIODS: [u32; 5] = [1, 5, 10, 20, 30];

/// The longest period, in seconds: a day.
pub(crate) const LONGEST_PERIOD: u32 = 86_400;

/// The most datapoints that a job may look at. 500 queries of them, and what is read beside, fit into one page.
pub(crate) const EVALUATION_PERIODS: u32 = 100;

/// The longest `delay`, in seconds: a day.
pub(crate) const LONGEST_DELAY: u32 = 86_400;

/// The most steps of a job.
pub(crate) const STEPS: usize = 50;

/// For how many seconds datapoints are kept: those of periods under a minute, of whole minutes, of multiples of five minutes,
/// of whole hours.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html>
pub(crate) const KEPT: [(u32, u32); 4] =
    [(3_600, 455 * 86_400), (300, 63 * 86_400), (60, 15 * 86_400), (1, 3 * 3_600)];

/// How many calls to one place are under way at once. The quota is 50 calls a second for each region of an account.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>
pub(crate) const READS: usize = 8;

/// How many queries may wait in one place for each combination of period and delay.
pub(crate) const WAITING: usize = 16_384;

/// How long a reading may take: a little more than the client's own 15 s a page, so that it is the client that says what it
/// waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// For how long evaluations are gathered into calls after the last one; a full call goes at once.
pub(crate) const WINDOW: Duration = Duration::from_millis(100);

/// For how long they are gathered altogether, so that the jobs of a large round share calls although it takes a while to get
/// to all of them.
pub(crate) const LONGEST_WINDOW: Duration = Duration::from_secs(2);

/// How many combinations of period and delay have batches of their own in each place.
pub(crate) const CLASSES: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");

/// How many queries that CloudWatch refused are remembered in each place, so that they spoil no other's call.
pub(crate) const REFUSED: NonZeroUsize = NonZeroUsize::new(1_024).expect("1,024 is not zero");
