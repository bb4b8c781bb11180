//! Limits of DynamoDB's calls.

/// The most writes of one transaction.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) const MAX_WRITES: usize = 100;

/// The most bytes that are put into one transaction: half of the 4 MB that DynamoDB accepts, since names and quotes count too.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) const MAX_BYTES: usize = 2_000_000;

/// The most transactions of one call that are sent at the same time.
pub(crate) const CONCURRENT_COMMITS: usize = 8;
