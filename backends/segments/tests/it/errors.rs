//! Two processes, and a log that is not as it should be.

use ecs_scheduler_core::{FaultKind, FiringState, Journal as _, Registers as _, Store, StoreError};

use crate::backend::Place;
use crate::compaction::settle_down;
use crate::sample::{advance, create, fire, firings, get};

fn fault(result: Result<impl std::fmt::Debug, StoreError>) -> (FaultKind, String) {
    match result {
        Err(StoreError::Fault { kind, message, .. }) => (kind, message),
        other => panic!("it is a fault, not {other:?}"),
    }
}

#[tokio::test]
async fn the_first_of_two_processes_stops_with_its_next_write_and_the_second_goes_on() {
    let place = Place::default();
    let first = place.try_open().await.unwrap();
    let job = create(&first, "a").await.unwrap();
    let second = place.try_open().await.unwrap();
    let (kind, message) = fault(fire(&first, &job, 10).await);
    assert_eq!(kind, FaultKind::Unavailable, "the API answers 503");
    assert!(message.starts_with("another process writes to memory (process "), "{message}");
    assert!(message.contains("only one may"), "{message}");
    assert_eq!(fault(first.read("brake").await).1, message, "it answers nothing any more");
    assert_eq!(fault(first.check().await).1, message);
    let planned = fire(&second, &job, 10).await.unwrap();
    advance(&second, &planned, FiringState::Launching, &[]).await.unwrap();
    drop((first, second));
    let third = place.try_open().await.unwrap();
    assert_eq!(firings(&third).await.len(), 1);
}

#[tokio::test]
async fn a_process_that_does_not_write_learns_of_another_one_by_its_check() {
    let place = Place::default();
    let first = place.try_open().await.unwrap();
    first.check().await.unwrap();
    let second = place.try_open().await.unwrap();
    assert!(fault(first.check().await).1.contains("another process writes"));
    second.check().await.unwrap();
}

#[tokio::test]
async fn a_process_that_slept_through_snapshots_of_another_one_still_finds_its_position_taken() {
    let place = Place::default();
    let first = place.try_open().await.unwrap();
    create(&first, "a").await.unwrap();
    let second = place.try_open().await.unwrap();
    for number in 0..50 {
        second.write(&format!("r{number}"), "", None, None).await.unwrap();
    }
    second.close().await.unwrap();
    settle_down(&place).await;
    let segments = place.inner().objects.keys().filter(|name| name.starts_with("segment-")).count();
    assert!(segments < 20, "old segments went: {segments}");
    assert!(fault(first.write("brake", "on", None, None).await).1.contains("another process writes"));
}

async fn written() -> Place {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    create(&store, "a").await.unwrap();
    store.close().await.unwrap();
    place
}

#[tokio::test]
async fn a_damaged_segment_is_named_with_the_remedy() {
    let place = written().await;
    place.inner().objects.get_mut("segment-0000000000000002").unwrap().truncate(40);
    let (kind, message) = fault(place.try_open().await);
    assert_eq!(kind, FaultKind::Config);
    assert!(message.contains("\"segment-0000000000000002\" in memory is damaged; restore it"), "{message}");
}

#[tokio::test]
async fn a_missing_segment_is_named_with_the_remedy() {
    let place = written().await;
    place.inner().objects.remove("segment-0000000000000001");
    let (_, message) = fault(place.try_open().await);
    assert!(message.contains("\"segment-0000000000000001\" in memory is missing; restore it"), "{message}");
}

#[tokio::test]
async fn a_segment_under_another_name_is_refused() {
    let place = written().await;
    let bytes = place.inner().objects["segment-0000000000000002"].clone();
    place.inner().objects.insert("segment-0000000000000003".to_owned(), bytes);
    let (_, message) = fault(place.try_open().await);
    assert!(message.contains("\"segment-0000000000000003\" in memory is damaged"), "{message}");
}

#[tokio::test]
async fn a_newer_format_is_refused_with_the_remedy_and_left_as_it_is() {
    let place = written().await;
    let text = br#"{"format":4,"somethingNew":true}"#.to_vec();
    place.inner().objects.insert("segment-0000000000000003".to_owned(), text);
    let before = place.inner().objects.clone();
    let (kind, message) = fault(place.try_open().await);
    assert_eq!(kind, FaultKind::Config);
    assert!(
        message.contains("has format 4, and this version knows formats up to 3; use the newer version"),
        "{message}"
    );
    assert_eq!(place.inner().objects, before);
}

#[tokio::test]
async fn a_snapshot_with_a_damaged_part_is_named() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    for number in 0..20 {
        store.write(&format!("r{number}"), "", None, None).await.unwrap();
    }
    store.close().await.unwrap();
    let part = place.inner().objects.keys().rfind(|name| name.starts_with("snapshot-")).unwrap().clone();
    place.inner().objects.get_mut(&part).unwrap().truncate(10);
    let (_, message) = fault(place.try_open().await);
    assert!(message.contains(&format!("\"{part}\" in memory is damaged")), "{message}");
}

#[tokio::test]
async fn nothing_that_is_not_durable_is_seen() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    let job = create(&store, "a").await.unwrap();
    let second = place.try_open().await.unwrap();
    fault(fire(&store, &job, 10).await);
    let firings = second.unfinished().await.unwrap();
    assert!(firings.is_empty() && get(&second, "a").await.unwrap().progress.last_firing.is_none());
}
