//! Logs that earlier versions wrote.

use ecs_scheduler_core::{DecisionQuery, FiringState, Journal as _, Revision, TickOutcome};
use serde_json::Value;

use crate::backend::MemoryBackend;
use crate::sample::{SECOND, advance, fire, firings, get};

/// A log of format 1, whose settlements have no revision: a job, an edit of it, and two settlements that were decided before
/// the edit and written after it, the second with a firing.
const FORMAT_1: &str = include_str!("../fixtures/format-1/log.jsonl");

fn recorded() -> MemoryBackend {
    let backend = MemoryBackend::default();
    for (position, line) in (1..).zip(FORMAT_1.lines()) {
        backend.inner().objects.insert(format!("segment-{position:016}"), line.as_bytes().to_vec());
    }
    for text in [crate::sample::FIRST, SECOND] {
        backend.put("nightly", text);
    }
    backend
}

#[tokio::test]
async fn settlements_of_format_1_are_applied_at_any_revision() {
    let backend = recorded();
    let store = backend.try_open().await.unwrap();
    let job = get(&store, "nightly").await.unwrap();
    assert_eq!((job.revision, job.document.get()), (Revision(2), SECOND));
    assert_eq!(job.progress.settled, Some("2027-01-15T08:00:20Z".parse().unwrap()));
    let rows = store.decisions(&DecisionQuery::default()).await.unwrap();
    let outcomes: Vec<_> = rows.iter().map(|row| row.draft.outcome).collect();
    assert_eq!(outcomes, [TickOutcome::Pending, TickOutcome::Idle]);
    let planned = firings(&store).await.remove(0);
    assert_eq!((planned.revision, planned.state), (Revision(1), FiringState::Planned));
    assert_eq!(job.progress.last_firing.as_ref(), Some(&planned.id));
    advance(&store, &planned, FiringState::Launching, &[]).await.unwrap();
    fire(&store, &job, 30).await.unwrap();
}

#[tokio::test]
async fn the_same_settlements_in_format_2_are_stale() {
    let backend = recorded();
    for bytes in backend.inner().objects.values_mut() {
        let mut segment: Value = serde_json::from_slice(bytes).unwrap();
        segment["format"] = 2.into();
        for entry in segment["entries"].as_array_mut().unwrap() {
            for settlement in entry.get_mut("settle").and_then(Value::as_array_mut).into_iter().flatten() {
                settlement["revision"] = 1.into();
            }
        }
        *bytes = segment.to_string().into_bytes();
    }
    let store = backend.try_open().await.unwrap();
    assert_eq!(get(&store, "nightly").await.unwrap().progress.settled, None);
    assert!(store.decisions(&DecisionQuery::default()).await.unwrap().is_empty());
    assert!(firings(&store).await.is_empty());
}
