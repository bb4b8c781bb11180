//! Snapshots, and the bound of the history.

use std::num::NonZeroUsize;

use ecs_scheduler_backend_log_store::LogStoreOptions;
use ecs_scheduler_core::{
    DecisionQuery, Journal as _, Registers as _, Settlement, Store as _, TickOutcome, Timestamp,
};
use ecs_scheduler_testing::sample;

use crate::backend::MemoryBackend;
use crate::sample::{at, create, fire, get};

/// Opens the store once more and writes, so that it takes a snapshot of everything.
pub(crate) async fn write_snapshot(backend: &MemoryBackend) {
    let store = backend.try_open().await.unwrap();
    store.put_register("one more", "", None, None).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_log_stays_short_after_many_writes() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    let job = create(&store, "a").await.unwrap();
    fire(&store, &job, 1).await.unwrap();
    for version in 0..200 {
        let expected = (version > 0).then_some(version);
        store.put_register("brake", &version.to_string(), expected, None).await.unwrap();
    }
    store.close().await.unwrap();
    write_snapshot(&backend).await;
    assert!(backend.inner().objects.len() < 20, "{:?}", backend.inner().objects.keys());
    let store = backend.try_open().await.unwrap();
    assert_eq!(store.get_register("brake").await.unwrap().unwrap().version, 200);
    assert_eq!(store.open_firings().await.unwrap().len(), 1);
    assert!(get(&store, "a").await.unwrap().progress.last_firing.is_some());
}

#[tokio::test]
async fn operations_that_wait_at_the_same_time_share_a_segment() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    let before = backend.inner().calls;
    let names: Vec<String> = (0..100).map(|number| format!("r{number}")).collect();
    let writes = names.iter().map(|name| store.put_register(name, "", None, None));
    for written in futures::future::join_all(writes).await {
        assert_eq!(written.unwrap(), 1);
    }
    let calls = backend.inner().calls - before;
    assert!(calls < 10, "{calls} calls for 100 writes");
}

#[tokio::test]
async fn a_full_history_loses_only_its_oldest_finished_rows() {
    let backend = MemoryBackend::default();
    let max_rows = NonZeroUsize::new(80).unwrap();
    let options = LogStoreOptions { max_rows, ..LogStoreOptions::default() };
    let store = backend.open_with(options.clone()).await.unwrap();
    let job = create(&store, "a").await.unwrap();
    let open = fire(&store, &job, 1).await.unwrap();
    store.put_register("answer", "kept", None, Some(at(5))).await.unwrap();
    for tick in 2..300 {
        let job = get(&store, "a").await.unwrap();
        let outcome = if tick % 2 == 0 { TickOutcome::Idle } else { TickOutcome::Missed };
        let records = vec![sample::draft(outcome, at(tick))];
        let settlement = Settlement {
            job: job.id,
            uid: job.uid,
            revision: job.revision,
            expected_cursor: job.progress.settled,
            new_cursor: Some(at(tick)),
            records,
            firing: None,
        };
        store.settle(vec![settlement]).await.unwrap();
    }
    store.put_register("last", "", None, Some(Timestamp::MAX)).await.unwrap();
    let rows = store.decisions(&DecisionQuery::default()).await.unwrap();
    assert!((80..=92).contains(&rows.len()), "{} rows", rows.len());
    assert_eq!(rows[0].draft.span.last, at(299), "the newest rows are kept");
    assert_eq!(store.open_firings().await.unwrap()[0].id, open.id, "open firings are kept");
    assert!(store.get_register("answer").await.unwrap().is_some(), "registers are kept");
    store.close().await.unwrap();
    let store = backend.open_with(options).await.unwrap();
    assert_eq!(store.decisions(&DecisionQuery::default()).await.unwrap(), rows);
}
