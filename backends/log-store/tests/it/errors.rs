//! Errors: two processes on one log, and a damaged log.

use ecs_scheduler_core::{
    FaultKind, FiringState, Journal as _, Registers as _, Store, StoreError, StoreMaintenance as _,
};

use crate::backend::MemoryBackend;
use crate::compaction::write_snapshot;
use crate::sample::{advance, create, fire, firings, get};

fn fault(result: Result<impl std::fmt::Debug, StoreError>) -> (FaultKind, String) {
    match result {
        Err(StoreError::Fault { kind, message, .. }) => (kind, message),
        other => panic!("it is a fault, not {other:?}"),
    }
}

#[tokio::test]
async fn the_first_of_two_processes_stops_at_its_next_write_and_the_second_continues() {
    let backend = MemoryBackend::default();
    let first = backend.try_open().await.unwrap();
    let job = create(&first, "a").await.unwrap();
    let second = backend.try_open().await.unwrap();
    let (kind, message) = fault(fire(&first, &job, 10).await);
    assert_eq!(kind, FaultKind::Unavailable, "the API answers 503");
    assert!(message.starts_with("another process writes to memory (process "), "{message}");
    assert!(message.contains("only one may write"), "{message}");
    assert_eq!(fault(first.get_register("brake").await).1, message, "all calls fail");
    assert_eq!(fault(first.health_check().await).1, message);
    let planned = fire(&second, &job, 10).await.unwrap();
    advance(&second, &planned, FiringState::Launching, &[]).await.unwrap();
    drop((first, second));
    let third = backend.try_open().await.unwrap();
    assert_eq!(firings(&third).await.len(), 1);
}

#[tokio::test]
async fn a_process_that_does_not_write_finds_another_one_by_its_check() {
    let backend = MemoryBackend::default();
    let first = backend.try_open().await.unwrap();
    first.health_check().await.unwrap();
    let second = backend.try_open().await.unwrap();
    assert!(fault(first.health_check().await).1.contains("another process writes"));
    second.health_check().await.unwrap();
}

#[tokio::test]
async fn a_process_that_was_stopped_during_snapshots_finds_its_position_occupied() {
    let backend = MemoryBackend::default();
    let first = backend.try_open().await.unwrap();
    create(&first, "a").await.unwrap();
    let second = backend.try_open().await.unwrap();
    for number in 0..50 {
        second.put_register(&format!("r{number}"), "", None, None).await.unwrap();
    }
    second.close().await.unwrap();
    write_snapshot(&backend).await;
    let segments = backend.inner().objects.keys().filter(|name| name.starts_with("segment-")).count();
    assert!(segments < 20, "old segments were removed: {segments}");
    assert!(fault(first.put_register("brake", "on", None, None).await).1.contains("another process writes"));
}

async fn written() -> MemoryBackend {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    create(&store, "a").await.unwrap();
    store.close().await.unwrap();
    backend
}

#[tokio::test]
async fn a_damaged_segment_is_named_with_the_remedy() {
    let backend = written().await;
    backend.inner().objects.get_mut("segment-0000000000000002").unwrap().truncate(40);
    let (kind, message) = fault(backend.try_open().await);
    assert_eq!(kind, FaultKind::Config);
    assert!(message.contains("\"segment-0000000000000002\" in memory is damaged; restore it"), "{message}");
}

#[tokio::test]
async fn a_missing_segment_is_named_with_the_remedy() {
    let backend = written().await;
    backend.inner().objects.remove("segment-0000000000000001");
    let (_, message) = fault(backend.try_open().await);
    assert!(message.contains("\"segment-0000000000000001\" in memory is missing; restore it"), "{message}");
}

#[tokio::test]
async fn a_segment_under_another_name_is_refused() {
    let backend = written().await;
    let bytes = backend.inner().objects["segment-0000000000000002"].clone();
    backend.inner().objects.insert("segment-0000000000000003".to_owned(), bytes);
    let (_, message) = fault(backend.try_open().await);
    assert!(message.contains("\"segment-0000000000000003\" in memory is damaged"), "{message}");
}

#[tokio::test]
async fn a_newer_format_is_refused_with_the_remedy_and_not_changed() {
    let backend = written().await;
    let text = br#"{"format":4,"somethingNew":true}"#.to_vec();
    backend.inner().objects.insert("segment-0000000000000003".to_owned(), text);
    let before = backend.inner().objects.clone();
    let (kind, message) = fault(backend.try_open().await);
    assert_eq!(kind, FaultKind::Config);
    assert!(
        message.contains("has format 4, and this version knows formats up to 3; use the newer version"),
        "{message}"
    );
    assert_eq!(backend.inner().objects, before);
}

#[tokio::test]
async fn a_snapshot_with_a_damaged_part_is_named() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    for number in 0..20 {
        store.put_register(&format!("r{number}"), "", None, None).await.unwrap();
    }
    store.close().await.unwrap();
    let part = backend.inner().objects.keys().rfind(|name| name.starts_with("snapshot-")).unwrap().clone();
    backend.inner().objects.get_mut(&part).unwrap().truncate(10);
    let (_, message) = fault(backend.try_open().await);
    assert!(message.contains(&format!("\"{part}\" in memory is damaged")), "{message}");
}

#[tokio::test]
async fn changes_that_are_not_durable_are_not_read() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    let job = create(&store, "a").await.unwrap();
    let second = backend.try_open().await.unwrap();
    fault(fire(&store, &job, 10).await);
    let firings = second.open_firings().await.unwrap();
    assert!(firings.is_empty() && get(&second, "a").await.unwrap().progress.last_firing.is_none());
}
