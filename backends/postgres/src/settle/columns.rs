//! A plan as columns: one array for each, which the server takes apart again.

use uuid::Uuid;

use super::write_set::Written;
use crate::pool::Param;

/// Makes a struct of arrays, filled from rows, that a statement takes in the order of its fields.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident from $rows:expr, $row:ident: $($field:ident: $kind:ty = $value:expr),+ $(,)?) => {
        $(#[$doc])*
        pub(crate) struct $name<'w> {
            $($field: Vec<$kind>,)+
        }

        impl<'w> $name<'w> {
            pub(crate) fn of(written: &'w Written<'_>) -> Self {
                let rows = $rows(written);
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
    Inserts from |written: &'w Written<'_>| written.rows.iter(), row:
    seq: i64 = row.seq,
    job: &'w str = row.entry.job.as_str(),
    uid: Uuid = row.entry.uid,
    shard: i16 = row.entry.shard,
    outcome: &'static str = row.record.outcome.as_str(),
    born: i64 = row.born,
    observed: i64 = row.record.observed,
    first: i64 = row.record.first,
    last: i64 = row.record.last,
    count: i64 = row.record.count,
    ledger: &'w str = row.record.ledger.as_str(),
    firing: Option<&'w str> = row.firing.map(|firing| firing.id.as_str()),
    state: Option<&'static str> = row.firing.map(|firing| firing.state),
    tasks: Option<i32> = row.firing.map(|firing| firing.tasks),
    body: Option<&'w str> = row.firing.map(|firing| firing.body.as_str()),
}

columns! {
    /// What is folded into stored rows.
    Folds from |written: &'w Written<'_>| written.folds.iter(), row:
    seq: i64 = *row.0,
    observed: i64 = row.1.observed,
    last: i64 = row.1.last,
    count: i64 = row.1.count,
    ledger: &'w str = row.1.ledger.as_str(),
}

columns! {
    /// What becomes of the jobs.
    Marks from |written: &'w Written<'_>| written.marks.iter(), row:
    id: &'w str = row.0.as_str(),
    settled: Option<i64> = row.1.settled,
    head: i64 = row.1.head,
    folds: Option<&'static str> = row.1.folds.map(|outcome| outcome.as_str()),
    last_firing: Option<&'w str> = row.1.last_firing.as_deref(),
    last_fired: Option<i64> = row.1.last_fired,
}
