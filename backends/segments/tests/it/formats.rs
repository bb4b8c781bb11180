//! Logs that earlier versions wrote.

use ecs_scheduler_core::{DecisionQuery, FiringState, Journal as _, Outcome, Revision};
use serde_json::Value;

use crate::backend::Place;
use crate::sample::{SECOND, advance, at, fire, firings, get};

/// A log of format 1, whose settlements name no revision: of a job, an edit of it, and two settlements that were decided
/// before the edit and written behind it, the second with a firing.
const FORMAT_1: &str = include_str!("../fixtures/format-1/log.jsonl");

fn recorded() -> Place {
    let place = Place::default();
    for (position, line) in (1..).zip(FORMAT_1.lines()) {
        place.inner().objects.insert(format!("segment-{position:016}"), line.as_bytes().to_vec());
    }
    for text in [crate::sample::FIRST, SECOND] {
        place.put("nightly", text);
    }
    place
}

#[tokio::test]
async fn settlements_of_format_1_count_whatever_revision_the_job_had() {
    let place = recorded();
    let store = place.try_open().await.unwrap();
    let job = get(&store, "nightly").await.unwrap();
    assert_eq!((job.revision, job.document.get()), (Revision(2), SECOND));
    assert_eq!(job.progress.settled, Some(at(20)));
    let rows = store.decisions(&DecisionQuery::default()).await.unwrap();
    let outcomes: Vec<_> = rows.iter().map(|row| row.draft.outcome).collect();
    assert_eq!(outcomes, [Outcome::Pending, Outcome::Idle]);
    let planned = firings(&store).await.remove(0);
    assert_eq!((planned.revision, planned.state), (Revision(1), FiringState::Planned));
    assert_eq!(job.progress.last_firing.as_ref(), Some(&planned.id));
    advance(&store, &planned, FiringState::Launching, &[]).await.unwrap();
    fire(&store, &job, 30).await.unwrap();
}

#[tokio::test]
async fn the_same_log_of_today_knows_that_they_are_stale() {
    let place = recorded();
    for bytes in place.inner().objects.values_mut() {
        let mut segment: Value = serde_json::from_slice(bytes).unwrap();
        segment["format"] = 2.into();
        for entry in segment["entries"].as_array_mut().unwrap() {
            for settlement in entry.get_mut("settle").and_then(Value::as_array_mut).into_iter().flatten() {
                settlement["revision"] = 1.into();
            }
        }
        *bytes = segment.to_string().into_bytes();
    }
    let store = place.try_open().await.unwrap();
    assert_eq!(get(&store, "nightly").await.unwrap().progress.settled, None);
    assert!(store.decisions(&DecisionQuery::default()).await.unwrap().is_empty());
    assert!(firings(&store).await.is_empty());
}
