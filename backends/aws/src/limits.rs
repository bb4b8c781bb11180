//! Published quotas of AWS, each with its source.
//!
//! A bucket holds at most `burst` tokens and gains `per_second`; a call takes one. Accounts may have other quotas;
//! [`Share`] and the rate limiter's reaction to throttling adapt to them.

/// A token bucket as AWS publishes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// A short name for logs.
    pub name: &'static str,
    /// The maximum number of tokens.
    pub burst: f64,
    /// The tokens that it gains in a second.
    pub per_second: f64,
}

/// The share of a quota that is used: other programs in the account use it too, and clocks and networks jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// The share of the burst; 0.8. AWS's bucket is full when the first call of a burst arrives, so calls that arrive
    /// faster than the first one need some room. Over a long burst this costs half a second.
    pub burst: f64,
    /// The share of the rate; 0.99.
    pub rate: f64,
}

impl Default for Share {
    fn default() -> Self {
        Self { burst: 0.8, rate: 0.99 }
    }
}

/// Calls that change a cluster's tasks: RunTask, StopTask.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
pub const RUN_TASK: Quota = Quota { name: "ecs-run-task", burst: 100.0, per_second: 40.0 };

/// Calls that read a cluster's tasks: ListTasks, DescribeTasks.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
pub const READ_CLUSTER: Quota = Quota { name: "ecs-read-cluster", burst: 100.0, per_second: 20.0 };

/// Calls that read task definitions; a bucket of its own.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
pub const READ_DEFINITION: Quota = Quota { name: "ecs-read-definition", burst: 50.0, per_second: 20.0 };

/// GetLogEvents calls. Large regions allow more.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
pub const READ_LOG: Quota = Quota { name: "logs-get-log-events", burst: 10.0, per_second: 10.0 };

/// Publish calls to topics: the quota of the smallest regions, and of a message group of a FIFO topic.
///
/// # Source
///
/// <https://docs.aws.amazon.com/general/latest/gr/sns.html>
pub const PUBLISH: Quota = Quota { name: "sns-publish", burst: 300.0, per_second: 300.0 };

/// RunTask calls for Fargate, beside [`RUN_TASK`].
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html>: 20 calls a second, burst and sustained.
pub const FARGATE_CALLS: Quota = Quota { name: "fargate-calls", burst: 20.0, per_second: 20.0 };

/// Tasks started on Fargate; each takes a token. On-demand and Spot have a bucket each.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html>: 100 at once, then 20 a second.
pub const FARGATE_TASKS: Quota = Quota { name: "fargate-tasks", burst: 100.0, per_second: 20.0 };
