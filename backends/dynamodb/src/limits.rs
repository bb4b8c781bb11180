//! Limits of DynamoDB's calls.

/// The maximum number of writes of one transaction.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) const MAX_WRITES: usize = 100;

/// The maximum size of one transaction in bytes: half of the 4 MB that DynamoDB accepts, since names and quotes count
/// too.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) const MAX_BYTES: usize = 2_000_000;

/// The maximum number of concurrent transactions of one call.
pub(crate) const CONCURRENT_COMMITS: usize = 8;
