//! The keys of the items in both tables. `doc/stores/dynamodb.md` lists them on one page.

use ecs_scheduler_core::{DecisionId, FiringId, FiringState, JobId, Shard, TickOutcome};

use crate::codec::{Attributes, text};

/// The number of partitions of equal size for items that have no job's name in their key.
pub(crate) const SHARDS: u8 = Shard::COUNT;

/// The number of partitions for the firings of one state, and for registers.
pub(crate) const PARTS: u8 = 4;

/// The partition key of the Python version's table.
pub(crate) const JOB_ID: &str = "job-id";
/// The attribute of the Python version's table that holds the document.
pub(crate) const JSON_DATA: &str = "json-data";

/// The sort key of a job's metadata: greater than those of the job's rows.
pub(crate) const META_KEY: &str = "mark";

/// One of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StoreTable {
    /// The Python version's: job names and documents.
    Jobs,
    /// The table for everything else.
    Journal,
}

/// The key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ItemKey {
    pub(crate) table: StoreTable,
    /// `job-id` or `pk`.
    pub(crate) hash: String,
    /// `sk`; empty in the jobs' table, which has no sort key.
    pub(crate) range: String,
}

impl ItemKey {
    fn journal(hash: String, range: impl Into<String>) -> Self {
        Self { table: StoreTable::Journal, hash, range: range.into() }
    }

    /// The key of a job's document.
    pub(crate) fn document(job: &str) -> Self {
        Self { table: StoreTable::Jobs, hash: job.to_owned(), range: String::new() }
    }

    /// The key of a job's metadata.
    pub(crate) fn job_meta(job: &JobId) -> Self {
        Self::journal(history(job), META_KEY)
    }

    /// The key of a decision with its firing.
    pub(crate) fn row(job: &JobId, id: DecisionId) -> Self {
        Self::journal(history(job), padded(id.0))
    }

    /// The key of a part of this row's firing.
    pub(crate) fn firing_part(&self, name: &str) -> Self {
        Self::journal(format!("part#{}#{}", self.hash, self.range), name)
    }

    /// The key of the pointer to a firing's row.
    pub(crate) fn firing(id: &FiringId) -> Self {
        Self::journal(format!("firing#{id}"), "firing")
    }

    /// The key of the entry for a row whose firing is open.
    pub(crate) fn open(job: &JobId, id: DecisionId) -> Self {
        Self::journal(open_firings(shard(job)), padded(id.0))
    }

    /// The key of a job's position in the order of creation.
    pub(crate) fn position(job: &JobId, order: u64) -> Self {
        Self::journal(job_order(shard(job)), format!("{}#{job}", padded(order)))
    }

    /// The key of the head of a shard's change log.
    pub(crate) fn change_log_head(shard: u8) -> Self {
        Self::journal(format!("edits#{shard:02}"), "head")
    }

    /// The key of an entry in a shard's change log.
    pub(crate) fn change_log_entry(shard: u8, index: u64) -> Self {
        Self::journal(format!("edits#{shard:02}"), format!("{index:03}"))
    }

    /// The key of a register.
    pub(crate) fn register(name: &str) -> Self {
        Self::journal(registers(register_part(name)), format!("={name}"))
    }

    /// The key of an item about the table itself.
    pub(crate) fn table_info(name: &str) -> Self {
        Self::journal("keeper".to_owned(), name)
    }

    /// Returns the key's attributes.
    pub(crate) fn attributes(&self) -> Attributes {
        match self.table {
            StoreTable::Jobs => Attributes::from([(JOB_ID.to_owned(), text(&self.hash))]),
            StoreTable::Journal => {
                Attributes::from([("pk".to_owned(), text(&self.hash)), ("sk".to_owned(), text(&self.range))])
            }
        }
    }

    /// Returns the name of the partition key's attribute, which every item of the table has.
    pub(crate) fn hash_attribute(&self) -> &'static str {
        match self.table {
            StoreTable::Jobs => JOB_ID,
            StoreTable::Journal => "pk",
        }
    }

    /// Returns the key of an item.
    pub(crate) fn from_item(table: StoreTable, item: &Attributes) -> Option<Self> {
        let text_of = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        match table {
            StoreTable::Jobs => Some(Self { table, hash: text_of(JOB_ID)?, range: String::new() }),
            StoreTable::Journal => Some(Self { table, hash: text_of("pk")?, range: text_of("sk")? }),
        }
    }
}

/// The partition of a job's metadata and rows.
pub(crate) fn history(job: &JobId) -> String {
    format!("job#{job}")
}

/// Returns the job of a history partition.
pub(crate) fn job_of(history: &str) -> Option<JobId> {
    JobId::new(history.strip_prefix("job#")?).ok()
}

/// The partition of a shard's open firings.
pub(crate) fn open_firings(shard: u8) -> String {
    format!("open#{shard:02}")
}

/// The partition with the names of a shard's jobs in the order of creation.
pub(crate) fn job_order(shard: u8) -> String {
    format!("jobs#{shard:02}")
}

/// The partition of a part of the registers.
pub(crate) fn registers(part: u8) -> String {
    format!("registers#{part}")
}

/// The index partition of a shard's rows, by id and by age.
pub(crate) fn shard_rows(shard: u8) -> String {
    format!("{shard:02}")
}

/// The index partition of a shard's rows of one outcome.
pub(crate) fn outcome(outcome: TickOutcome, shard: u8) -> String {
    format!("{outcome}#{shard:02}")
}

/// The index partition of a part of the firings in one state.
pub(crate) fn state(state: FiringState, part: u8) -> String {
    format!("{}#{part}", state.as_str())
}

/// The index partition of registers that expire.
pub(crate) fn expiring_registers(part: u8) -> String {
    format!("register#{part}")
}

/// Formats a number so that texts sort as the numbers do.
pub(crate) fn padded(number: u64) -> String {
    format!("{number:020}")
}

/// Returns the shard of a job.
pub(crate) fn shard(job: &JobId) -> u8 {
    Shard::from_job(job).number()
}

/// Returns the part of a register: FNV-1a of its name, modulo [`PARTS`]. The stored layout depends on it: never change it.
///
/// # Source
///
/// <http://www.isthe.com/chongo/tech/comp/fnv/>: offset basis and prime of 64 bits.
pub(crate) fn register_part(name: &str) -> u8 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u8::try_from(hash % u64::from(PARTS)).expect("a remainder of less than 256 is a byte")
}
