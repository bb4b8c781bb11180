//! Limits of SQS, and the limits that the trigger sets itself.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Maximum length of a queue's name, `.fifo` included.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
pub(crate) const MAX_NAME_LENGTH: usize = 80;

/// Maximum length of a queue's URL. AWS's own are shorter than 200 characters.
pub(crate) const MAX_URL_LENGTH: usize = 1_024;

/// Maximum number of queues of one scope that are read at once. SQS has no quota on reading attributes; this bounds
/// the connections.
pub(crate) const MAX_CONCURRENT_READS: usize = 32;

/// Maximum number of queues that wait to be read in one scope.
pub(crate) const MAX_WAITING: usize = 16_384;

/// Timeout of a reading: slightly longer than the client's own 15 s, so that the client reports the cause.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(16);

/// Maximum number of cached URLs in each scope. A URL never changes while its queue exists.
pub(crate) const MAX_CACHED_URLS: NonZeroUsize = NonZeroUsize::new(16_384).expect("16,384 is not zero");
