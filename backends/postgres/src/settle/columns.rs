//! A write set as columns: one array for each column, which the server unnests.

use uuid::Uuid;

use super::write_set::WriteSet;
use crate::pool::Param;

/// Makes a struct of arrays, filled from rows; they are the parameters of a statement in the order of the fields.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident from $rows:expr, $row:ident: $($field:ident: $kind:ty = $value:expr),+ $(,)?) => {
        $(#[$doc])*
        pub(crate) struct $name<'w> {
            $($field: Vec<$kind>,)+
        }

        impl<'w> $name<'w> {
            pub(crate) fn from_write_set(write_set: &'w WriteSet<'_>) -> Self {
                let rows = $rows(write_set);
                let mut columns = Self { $($field: Vec::with_capacity(rows.len()),)+ };
                for $row in rows {
                    $(columns.$field.push($value);)+
                }
                columns
            }

            pub(crate) fn params(&self) -> Vec<Param<'_>> {
                vec![$(&self.$field,)+]
            }
        }
    };
}

columns! {
    /// New rows of the journal.
    InsertColumns from |write_set: &'w WriteSet<'_>| write_set.rows.iter(), row:
    seq: i64 = row.seq,
    job: &'w str = row.settlement.job.as_str(),
    uid: Uuid = row.settlement.uid,
    shard: i16 = row.settlement.shard,
    outcome: &'static str = row.decision.outcome.as_str(),
    born: i64 = row.born,
    observed: i64 = row.decision.observed,
    first: i64 = row.decision.first,
    last: i64 = row.decision.last,
    count: i64 = row.decision.count,
    ledger: &'w str = row.decision.ledger.as_str(),
    firing: Option<&'w str> = row.firing.map(|firing| firing.id.as_str()),
    state: Option<&'static str> = row.firing.map(|firing| firing.state),
    tasks: Option<i32> = row.firing.map(|firing| firing.tasks),
    body: Option<&'w str> = row.firing.map(|firing| firing.body.as_str()),
}

columns! {
    /// Decisions to fold into stored rows.
    FoldColumns from |write_set: &'w WriteSet<'_>| write_set.folds.iter(), row:
    seq: i64 = *row.0,
    observed: i64 = row.1.observed,
    last: i64 = row.1.last,
    count: i64 = row.1.count,
    ledger: &'w str = row.1.ledger.as_str(),
}

columns! {
    /// The settled jobs.
    JobColumns from |write_set: &'w WriteSet<'_>| write_set.jobs.iter(), row:
    id: &'w str = row.0.as_str(),
    settled: Option<i64> = row.1.settled,
    head: i64 = row.1.head,
    folds: Option<&'static str> = row.1.folds.map(|outcome| outcome.as_str()),
    last_firing: Option<&'w str> = row.1.last_firing.as_deref(),
    last_fired: Option<i64> = row.1.last_fired,
}
