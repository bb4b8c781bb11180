//! Content for fixtures of stored formats: the same jobs, decisions, firings and registers in every store.
//!
//! Each store keeps what [`write_content`] made it write in a fixture named by format version. Two tests stand on it. The
//! fixture still opens and reads as the content ([`assert_content`]), so that a store reads what released versions wrote.
//! The present code still writes the same rows, items or lines ([`assert_pinned`]), so that a renamed Rust field that
//! leaks into a format fails a test.

mod content;
mod firings;
mod jobs;

use std::path::Path;

use serde_json::{Value, json};

use ecs_scheduler_core::decide::DecisionRecord;
use ecs_scheduler_core::firing::Firing;
use ecs_scheduler_core::job::JobId;
use ecs_scheduler_core::memory::MemoryStore;
use ecs_scheduler_core::store::{DecisionQuery, FiringQuery, ListFrom, MAX_PAGE, Store};

pub use content::write_content;

/// The environment variable that makes [`assert_pinned`] write the files.
const UPDATE: &str = "UPDATE_FIXTURES";

/// Reads everything of the content that a store answers, one JSON text for each job, decision, open firing and register.
///
/// Jobs have their order, decisions the order of their job. Ids of decisions are counted from 1 in each job, because each
/// store numbers decisions in its own way.
///
/// # Panics
///
/// Panics when the store cannot be read.
pub async fn read_content(store: &dyn Store) -> Vec<String> {
    let jobs = store.list(ListFrom::Skip(0), MAX_PAGE).await.expect("jobs are listed").jobs;
    let mut lines: Vec<Value> = jobs.iter().map(|job| json!({ "job": job })).collect();
    for name in content::HISTORIES {
        lines.extend(history(store, name).await);
    }
    let mut open = store.open_firings().await.expect("open firings are read");
    open.sort_by(|a, b| a.id.cmp(&b.id));
    lines.extend(open.iter().map(|firing| json!({ "open": firing.id })));
    for name in content::REGISTERS {
        let register = store.get_register(name).await.expect("registers are read");
        lines.push(json!({ "register": name, "content": register }));
    }
    lines.iter().map(Value::to_string).collect()
}

/// Reads the history of one job, oldest first.
async fn history(store: &dyn Store, name: &str) -> Vec<Value> {
    let job = Some(JobId::new(name).expect("the names of the content are valid"));
    let query = DecisionQuery { job: job.clone(), ..DecisionQuery::default() };
    let records = store.decisions(&query).await.expect("decisions are read");
    let query = FiringQuery { job, ..FiringQuery::default() };
    let firings = store.firings(&query).await.expect("firings are read");
    let entry = |(number, record): (u64, &DecisionRecord)| {
        let firing = firings.iter().find(|firing| Some(&firing.id) == record.firing.as_ref());
        assert_eq!(firing.map(|firing| firing.decision), record.firing.as_ref().map(|_| record.id));
        json!({ "decision": numbered(record, number), "firing": firing.map(|firing| with_decision(firing, number)) })
    };
    (1..).zip(records.iter().rev()).map(entry).collect()
}

fn numbered(record: &DecisionRecord, number: u64) -> Value {
    let mut value = serde_json::to_value(record).expect("a decision is plain data");
    value["id"] = number.into();
    value
}

fn with_decision(firing: &Firing, number: u64) -> Value {
    let mut value = serde_json::to_value(firing).expect("a firing is plain data");
    value["decision"] = number.into();
    value
}

/// Asserts that a store holds the content, as a memory store does to which it was written now.
///
/// # Panics
///
/// Panics at the first difference.
pub async fn assert_content(store: &dyn Store) {
    let expected = MemoryStore::default();
    write_content(&expected).await;
    assert_same_lines(&read_content(store).await, &read_content(&expected).await);
}

/// Asserts that a file has these lines; writes the file instead when the environment has `UPDATE_FIXTURES=1`.
///
/// # Panics
///
/// Panics at the first line that differs, and when the file cannot be read or written.
pub fn assert_pinned(file: &Path, lines: &[String]) {
    if is_updating() {
        write_fixture(file, lines.join("\n") + "\n");
    }
    let text = std::fs::read_to_string(file)
        .unwrap_or_else(|error| panic!("{}: {error}; {UPDATE}=1 writes it", file.display()));
    let pinned: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_same_lines(lines, &pinned);
}

/// Tells whether the environment has `UPDATE_FIXTURES=1`: tests write the fixtures of the present format.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is no setting of the product; it makes tests write fixtures"
)]
pub fn is_updating() -> bool {
    std::env::var_os(UPDATE).is_some_and(|value| value == "1")
}

/// Writes a fixture, and the folder that it is in.
///
/// # Panics
///
/// Panics when it cannot be written.
pub fn write_fixture(file: &Path, bytes: impl AsRef<[u8]>) {
    let folder = file.parent().expect("a fixture is in a folder");
    std::fs::create_dir_all(folder).expect("the folder of a fixture can be made");
    std::fs::write(file, bytes).expect("a fixture can be written");
}

/// Asserts that the present code wrote what a fixture has.
///
/// # Panics
///
/// Panics at the first line that differs.
pub fn assert_same_lines(found: &[String], expected: &[String]) {
    for (number, (found, expected)) in (1..).zip(found.iter().zip(expected)) {
        assert_eq!(found, expected, "line {number} differs");
    }
    assert_eq!(found.len(), expected.len(), "one has more lines than the other");
}

/// Replaces the values of JSON fields that are drawn by each process, also where the JSON is a text inside of JSON.
#[must_use]
pub fn mask(lines: &[String], fields: &[&str]) -> Vec<String> {
    lines
        .iter()
        .map(|line| fields.iter().fold(line.clone(), |line, field| mask_field(&line, field)))
        .collect()
}

fn mask_field(line: &str, field: &str) -> String {
    let mut masked = String::new();
    let mut rest = line;
    while let Some(found) = rest.find(field) {
        let (before, after) = rest.split_at(found + field.len());
        let value = after.trim_start_matches(['\\', '"', ':']);
        let is_field = after.starts_with(['\\', '"']) && after[..after.len() - value.len()].contains(':');
        masked.push_str(before);
        rest = if is_field {
            value.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-')
        } else {
            after
        };
        if is_field {
            masked.push('=');
        }
    }
    masked + rest
}
