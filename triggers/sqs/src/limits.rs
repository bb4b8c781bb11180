//! What SQS allows, and how much of it is used.

use std::num::NonZeroUsize;
use std::time::Duration;

/// The most characters of a queue's name, `.fifo` included.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
pub(crate) const NAME: usize = 80;

/// The most characters of a queue's URL that are taken; AWS's own are shorter than 200.
pub(crate) const URL: usize = 1_024;

/// How many queues of one place are read at once. SQS has no quota on reading attributes; it is a bound on connections.
pub(crate) const READS: usize = 32;

/// How many queues may wait to be read in one place.
pub(crate) const WAITING: usize = 16_384;

/// How long a reading may take: a little more than the client's own 15 s, so that it is the client that says what it waited
/// for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(16);

/// How many URLs are kept for each place. A URL never changes while its queue exists.
pub(crate) const URLS: NonZeroUsize = NonZeroUsize::new(16_384).expect("16,384 is not zero");
