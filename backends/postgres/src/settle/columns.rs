//! Rows as columns: one array for each column, which the server unnests.

use ecs_scheduler_core::store::encoding::{DecisionColumns, to_nanos_saturating};
use uuid::Uuid;

use super::write_set::JournalRow;
use crate::codec::{JobMeta, shard_number, task_count};

/// Makes a struct of arrays, filled from rows; they are the parameters of a statement in the order of the fields.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident from $row:ident: $rows:ty, $($field:ident: $kind:ty = $value:expr),+ $(,)?) => {
        $(#[$doc])*
        pub(crate) struct $name<'w> {
            $($field: Vec<$kind>,)+
        }

        impl<'w> $name<'w> {
            pub(crate) fn new(rows: impl ExactSizeIterator<Item = $rows>) -> Self {
                let mut columns = Self { $($field: Vec::with_capacity(rows.len()),)+ };
                for $row in rows {
                    $(columns.$field.push($value);)+
                }
                columns
            }

            pub(crate) fn params(&self) -> Vec<$crate::pool::Param<'_>> {
                vec![$(&self.$field,)+]
            }
        }
    };
}
pub(crate) use columns;

columns! {
    /// New rows of the journal.
    InsertColumns from row: &'w JournalRow<'w>,
    seq: i64 = row.seq,
    job: &'w str = row.job.as_str(),
    uid: Uuid = *row.uid.as_uuid(),
    shard: i16 = shard_number(row.job),
    outcome: &'static str = row.outcome.as_str(),
    born: i64 = row.born,
    observed: i64 = row.decision.observed,
    first: i64 = row.decision.first,
    last: i64 = row.decision.last,
    count: i64 = row.decision.count,
    ledger: &'w str = row.decision.details.as_str(),
    firing: Option<&'w str> = row.firing.map(|(firing, _)| firing.id.as_str()),
    state: Option<&'static str> = row.firing.map(|(firing, _)| firing.state.as_str()),
    tasks: Option<i32> = row.firing.map(|(firing, _)| task_count(firing)),
    body: Option<&'w str> = row.firing.map(|(_, body)| body),
}

columns! {
    /// Decisions to fold into stored rows.
    FoldColumns from row: (&'w i64, &'w DecisionColumns),
    seq: i64 = *row.0,
    observed: i64 = row.1.observed,
    last: i64 = row.1.last,
    count: i64 = row.1.count,
    ledger: &'w str = row.1.details.as_str(),
}

columns! {
    /// The settled jobs.
    SettledColumns from row: &'w (String, JobMeta),
    id: &'w str = row.0.as_str(),
    settled: Option<i64> = row.1.progress.settled.map(to_nanos_saturating),
    head: i64 = row.1.newest,
    folds: Option<&'static str> = row.1.open_row.as_ref().map(|key| key.outcome.as_str()),
    last_firing: Option<&'w str> = row.1.progress.last_firing.as_ref().map(|firing| firing.as_str()),
    last_fired: Option<i64> = row.1.progress.last_fired.map(to_nanos_saturating),
}
