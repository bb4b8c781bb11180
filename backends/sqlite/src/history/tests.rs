use ecs_scheduler_core::{
    ImportBatch, JobStore as _, Journal as _, JournalEntry, Settlement, Store as _, Timestamp,
};
use ecs_scheduler_testing::sample;

use super::*;
use crate::open::SqliteOptions;
use crate::store::SqliteStore;

/// Returns how a statement reads the tables of a new file: one line for each table and each sort.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    // The values of its parameters are NULL.
    let lines = statement.raw_query().mapped(|row| row.get::<_, String>(3)).map(Result::unwrap);
    let reads = |line: &String| ["SEARCH", "SCAN", "USE TEMP"].iter().any(|word| line.starts_with(word));
    // The rows of a subquery are as many as its own statement reads.
    lines.filter(|line| reads(line) && !line.starts_with("SCAN (subquery")).collect()
}

#[tokio::test]
async fn each_read_of_the_history_is_bounded_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    SqliteStore::open(&path, SqliteOptions::default()).await.unwrap().close().await.unwrap();
    let connection = Connection::open(&path).unwrap();
    let row = "SEARCH journal USING INTEGER PRIMARY KEY (rowid=?)";
    let head = [
        "SEARCH j USING COVERING INDEX sqlite_autoindex_jobs_1 (id=?)",
        "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH departed USING PRIMARY KEY (id=?)",
    ];
    for chain in [DECISIONS, FIRINGS] {
        assert_eq!(plan(&connection, &chain.link_sql()), [row]);
        assert_eq!(plan(&connection, &chain.row_sql()), [row]);
        assert_eq!(plan(&connection, &chain.head_sql()), head);
    }
    assert_eq!(plan(&connection, &decisions_sql()), ["SEARCH journal USING INTEGER PRIMARY KEY (rowid<?)"]);
    let by_state = "SEARCH journal USING INDEX journal_state (state=? AND rowid<?)";
    for outcome in TickOutcome::ALL {
        let expected = if outcome == TickOutcome::Pending {
            // There are few open firings, and they are sorted.
            vec![by_state, "USE TEMP B-TREE FOR ORDER BY"]
        } else {
            vec!["SEARCH journal USING INDEX journal_outcome (outcome=? AND rowid<?)"]
        };
        assert_eq!(plan(&connection, &decisions_by_outcome_sql(outcome)), expected, "{outcome}");
    }
    assert_eq!(
        plan(&connection, &firing_by_id_sql()),
        ["SEARCH journal USING INDEX journal_firing (firing=? AND rowid<?)"]
    );
    for state in FiringState::ALL {
        let mut reads = plan(&connection, &firings_by_states_sql(&[state]));
        reads.retain(|line| !line.starts_with("USE TEMP"));
        let newest = "SEARCH journal USING COVERING INDEX journal_state (state=? AND rowid<?)";
        assert_eq!(reads, [row, newest], "{state:?}");
    }
    let reads = plan(&connection, &firings_by_states_sql(&FiringState::ALL));
    assert!(reads.iter().all(|line| !line.starts_with("SCAN")), "{reads:#?}");
}

#[tokio::test]
async fn firings_of_a_job_are_found_without_its_other_decisions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let mut job = store.create(sample::new_job("rare", r#"{"taskCount": 1}"#)).await.unwrap();
    let mut fired = Vec::new();
    for second in 0..30 {
        let tick = Timestamp::from_second(1_800_000_000 + second).unwrap();
        let firing = (second % 10 == 3).then(|| sample::firing(&job.id, job.uid, tick));
        let outcome = if firing.is_some() { TickOutcome::Pending } else { TickOutcome::Idle };
        let mut draft = sample::draft(outcome, tick);
        draft.explanation = format!("tick {second}");
        fired.extend(firing.as_ref().map(|firing| firing.id.clone()));
        let settlement = Settlement { firing, ..sample::settlement(&job, vec![draft]) };
        store.settle(vec![settlement]).await.unwrap();
        job = store.get(std::slice::from_ref(&job.id)).await.unwrap().remove(0);
    }
    let imported = sample::firing(&job.id, job.uid, Timestamp::from_second(1_900_000_000).unwrap());
    let draft = sample::draft(TickOutcome::Pending, imported.nominal);
    let record = DecisionRecord {
        id: imported.decision,
        job: job.id.clone(),
        uid: job.uid,
        draft,
        firing: Some(imported.id.clone()),
    };
    fired.push(imported.id.clone());
    store.import(ImportBatch::History(vec![JournalEntry { record, firing: Some(imported) }])).await.unwrap();
    fired.reverse();
    // The other decisions lead nowhere.
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE journal SET prev = 0", []).unwrap();
    for limit in 1..=5 {
        let mut found = Vec::new();
        loop {
            let query = FiringQuery {
                job: Some(job.id.clone()),
                before: found.last().cloned(),
                limit: limit.try_into().unwrap(),
                ..FiringQuery::default()
            };
            let page = store.firings(&query).await.unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page.into_iter().map(|firing| firing.id));
        }
        assert_eq!(found, fired, "{limit}");
    }
    store.remove(&job.id, None).await.unwrap();
    let query = FiringQuery { job: Some(job.id), ..FiringQuery::default() };
    assert_eq!(store.firings(&query).await.unwrap().len(), fired.len(), "history outlives its job");
}
