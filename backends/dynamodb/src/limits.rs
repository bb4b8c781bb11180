//! What DynamoDB takes in one call.

/// The most actions of one transaction.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) const ACTIONS: usize = 100;

/// The most bytes that are put into one transaction: half of the 4 MB that one may have, since names and quotes count too.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(crate) const BYTES: usize = 2_000_000;

/// Transactions of one call that are under way at once.
pub(crate) const COMMITS: usize = 8;
