//! Launches and their idempotency tokens.

use std::collections::HashSet;
use std::future::Future as _;
use std::num::NonZeroU32;
use std::pin::pin;
use std::task::{Context, Waker};

use super::calls::{ids, launch, live, request, stop_all, wait_for_phase};
use super::{LauncherFixture, Sample};
use ecs_scheduler_core::task::TaskPhase;

/// A missing definition is refused permanently, and the refusal names it.
pub async fn an_unknown_definition_is_refused_permanently(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Unknown, "a", 2);
    match launcher.launch(&request).await {
        Ok(report) => {
            assert_eq!(report.started, []);
            assert_eq!(report.refused.len(), 2, "each requested task is refused");
            for refusal in &report.refused {
                assert!(!refusal.retryable, "{refusal:?}");
                assert!(refusal.detail.as_ref().is_some_and(|detail| detail.contains(&request.definition)));
            }
        }
        Err(error) => assert!(!error.is_transient() && !error.outcome_unknown(), "{error}"),
    }
    assert_eq!(live(&*launcher, &request).await, []);
}

/// Every task has an id of its own.
pub async fn a_launch_of_several_tasks_names_each_of_them(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Lasts, "a", 3);
    let ids = launch(&*launcher, &request).await;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3);
    assert_eq!(live(&*launcher, &request).await.len(), 3);
    stop_all(&*launcher, &ids).await;
}

/// The caller must respect the limit of one call.
pub async fn a_launch_of_too_many_tasks_fails_without_effect(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let mut request = request(subject, Sample::Succeeds, "a", 1);
    request.count = launcher.limits().per_call.checked_add(1).unwrap_or(NonZeroU32::MAX);
    let error = launcher.launch(&request).await.expect_err("it is too many");
    assert!(!error.is_transient() && !error.outcome_unknown(), "{error}");
    assert_eq!(live(&*launcher, &request).await, []);
}

/// Every call with one token returns the report of the first.
pub async fn a_repeated_token_reports_the_same_tasks_and_starts_none(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Lasts, "a", 2);
    let mut first = launch(&*launcher, &request).await;
    for _ in 0..3 {
        assert_eq!(launch(&*launcher, &request).await, first);
    }
    first.sort();
    assert_eq!(live(&*launcher, &request).await, first);
    stop_all(&*launcher, &first).await;
}

/// A token stays used after its tasks have ended.
pub async fn a_repeated_token_starts_nothing_after_its_tasks_have_ended(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Succeeds, "a", 1);
    let first = launch(&*launcher, &request).await;
    let ended = wait_for_phase(&*launcher, &first[0], TaskPhase::Stopped).await;
    assert_eq!(launch(&*launcher, &request).await, first);
    assert_eq!(wait_for_phase(&*launcher, &first[0], TaskPhase::Stopped).await, ended);
}

/// A scheduler that crashed before the answer retries, and gets the same answer.
pub async fn a_repeated_token_starts_nothing_after_a_restart(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Lasts, "a", 2);
    let mut first = launch(&*launcher, &request).await;
    drop(launcher);
    let launcher = subject.open().await;
    assert_eq!(launch(&*launcher, &request).await, first);
    first.sort();
    assert_eq!(live(&*launcher, &request).await, first);
    stop_all(&*launcher, &first).await;
}

/// Two owners of one shard may send the same call at once.
pub async fn concurrent_calls_with_one_token_start_once(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Lasts, "a", 1);
    let calls = futures::future::join_all((0..16).map(|_| launcher.launch(&request))).await;
    let mut started = HashSet::new();
    for call in calls {
        match call {
            Ok(report) => started.extend(ids(&report)),
            // A launcher may reject the second of two concurrent calls, if a retry succeeds.
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    assert_eq!(started.len(), 1, "{started:?}");
    assert_eq!(HashSet::from_iter(launch(&*launcher, &request).await), started);
    let live = live(&*launcher, &request).await;
    assert_eq!(live.len(), 1, "{live:?}");
    stop_all(&*launcher, &live).await;
}

/// The engine cancels a call after its timeout, and retries it.
pub async fn a_retry_of_a_cancelled_call_starts_nothing_twice(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Lasts, "a", 1);
    for _ in 0..8 {
        let mut call = pin!(launcher.launch(&request));
        let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        tokio::task::yield_now().await;
    }
    let ids = launch(&*launcher, &request).await;
    assert_eq!(live(&*launcher, &request).await, ids);
    stop_all(&*launcher, &ids).await;
}

/// A token identifies a call, not its content.
pub async fn different_tokens_start_different_tasks(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let first = launch(&*launcher, &request(subject, Sample::Succeeds, "a", 1)).await;
    let second = launch(&*launcher, &request(subject, Sample::Succeeds, "b", 1)).await;
    assert_ne!(first, second);
    wait_for_phase(&*launcher, &first[0], TaskPhase::Stopped).await;
    wait_for_phase(&*launcher, &second[0], TaskPhase::Stopped).await;
}
