//! Where things lie in the tables. `doc/stores/dynamodb.md` shows it all on one page.

use ecs_scheduler_core::{DecisionId, FiringId, FiringState, JobId, Outcome, Shard};

use crate::codec::{Item, text};

/// Into how many partitions of equal size everything is divided that is not found by a job's name.
pub(crate) const SHARDS: u8 = Shard::COUNT;

/// Into how many partitions firings of one state, and registers, are divided.
pub(crate) const SPREAD: u8 = 4;

/// The partition key of the Python version's table.
pub(crate) const JOB_ID: &str = "job-id";
/// The attribute of the Python version's table that holds the document.
pub(crate) const JSON_DATA: &str = "json-data";

/// The sort key of a job's mark: behind all of the job's rows.
pub(crate) const MARK: &str = "mark";

/// One of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// The Python version's: job names and documents.
    Jobs,
    /// Ours: everything else.
    Journal,
}

/// The key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) table: Table,
    /// `job-id` or `pk`.
    pub(crate) hash: String,
    /// `sk`; empty in the jobs' table, which has none.
    pub(crate) range: String,
}

impl Key {
    fn journal(hash: String, range: impl Into<String>) -> Self {
        Self { table: Table::Journal, hash, range: range.into() }
    }

    /// A job's document.
    pub(crate) fn document(job: &str) -> Self {
        Self { table: Table::Jobs, hash: job.to_owned(), range: String::new() }
    }

    /// What is known of a job beside its document.
    pub(crate) fn mark(job: &JobId) -> Self {
        Self::journal(history(job), MARK)
    }

    /// A decision, with its firing.
    pub(crate) fn row(job: &JobId, id: DecisionId) -> Self {
        Self::journal(history(job), padded(id.0))
    }

    /// The place of a firing's row.
    pub(crate) fn firing(id: &FiringId) -> Self {
        Self::journal(format!("firing#{id}"), "firing")
    }

    /// The note that a row's firing is open.
    pub(crate) fn open(job: &JobId, id: DecisionId) -> Self {
        Self::journal(open(shard(job)), padded(id.0))
    }

    /// A job's place in the order of creation.
    pub(crate) fn place(job: &JobId, order: u64) -> Self {
        Self::journal(places(shard(job)), format!("{}#{job}", padded(order)))
    }

    /// How many edits there were in a shard.
    pub(crate) fn head(shard: u8) -> Self {
        Self::journal(format!("edits#{shard:02}"), "head")
    }

    /// One of a shard's last edits.
    pub(crate) fn edit(shard: u8, slot: u64) -> Self {
        Self::journal(format!("edits#{shard:02}"), format!("{slot:03}"))
    }

    /// A register.
    pub(crate) fn register(name: &str) -> Self {
        Self::journal(registers(spread(name)), format!("={name}"))
    }

    /// Something about the table itself.
    pub(crate) fn keeper(what: &str) -> Self {
        Self::journal("keeper".to_owned(), what)
    }

    /// Returns the key's attributes.
    pub(crate) fn attributes(&self) -> Item {
        match self.table {
            Table::Jobs => Item::from([(JOB_ID.to_owned(), text(&self.hash))]),
            Table::Journal => {
                Item::from([("pk".to_owned(), text(&self.hash)), ("sk".to_owned(), text(&self.range))])
            }
        }
    }

    /// Returns the attribute that every item of the table has.
    pub(crate) fn attribute(&self) -> &'static str {
        match self.table {
            Table::Jobs => JOB_ID,
            Table::Journal => "pk",
        }
    }

    /// Finds the key of an item.
    pub(crate) fn of(table: Table, item: &Item) -> Option<Self> {
        let part = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        match table {
            Table::Jobs => Some(Self { table, hash: part(JOB_ID)?, range: String::new() }),
            Table::Journal => Some(Self { table, hash: part("pk")?, range: part("sk")? }),
        }
    }
}

/// The partition of a job's mark and rows.
pub(crate) fn history(job: &JobId) -> String {
    format!("job#{job}")
}

/// The job whose history a partition is.
pub(crate) fn job_of(history: &str) -> Option<JobId> {
    JobId::new(history.strip_prefix("job#")?).ok()
}

/// The partition of a shard's open firings.
pub(crate) fn open(shard: u8) -> String {
    format!("open#{shard:02}")
}

/// The partition of the names of a shard's jobs, in the order of creation.
pub(crate) fn places(shard: u8) -> String {
    format!("jobs#{shard:02}")
}

/// A partition of registers.
pub(crate) fn registers(part: u8) -> String {
    format!("registers#{part}")
}

/// The index partition of a shard's rows, by id and by age.
pub(crate) fn rows(shard: u8) -> String {
    format!("{shard:02}")
}

/// The index partition of a shard's rows of one outcome.
pub(crate) fn outcome(outcome: Outcome, shard: u8) -> String {
    format!("{outcome}#{shard:02}")
}

/// An index partition of firings in one state.
pub(crate) fn state(state: FiringState, part: u8) -> String {
    format!("{}#{part}", state.as_str())
}

/// The index partition of registers that expire.
pub(crate) fn expiring(part: u8) -> String {
    format!("register#{part}")
}

/// Writes a number so that texts sort as numbers do.
pub(crate) fn padded(number: u64) -> String {
    format!("{number:020}")
}

/// Returns the shard of a job.
pub(crate) fn shard(job: &JobId) -> u8 {
    Shard::of(job).number()
}

/// Returns the part of a register: FNV-1a of its name, modulo [`SPREAD`]. The layout depends on it: never change it.
///
/// # Source
///
/// <http://www.isthe.com/chongo/tech/comp/fnv/>: offset basis and prime of 64 bits.
pub(crate) fn spread(name: &str) -> u8 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u8::try_from(hash % u64::from(SPREAD)).expect("a remainder of less than 256 is a byte")
}
