//! Firings by hand at the moment of a tick, by requests that are repeated until they are answered.

use std::time::Duration;

use ecs_scheduler_core::{Clock as _, Firing, Origin, SystemClock, Timestamp};
use futures::future::join_all;
use parking_lot::Mutex;

use super::process::Scheduler;
use super::site::until;

/// The interval of repeated requests.
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);

/// The firings by hand of a test.
#[derive(Debug, Default)]
pub(crate) struct HandFirings(Mutex<Vec<HandRequest>>);

/// One firing by hand. Each request for it has the same key.
#[derive(Debug, Clone)]
struct HandRequest {
    job: String,
    /// The firing, once a request was answered.
    firing: Option<String>,
}

impl HandFirings {
    /// Fires jobs at the moment of a tick. A request that fails, or whose answer is lost, stays open.
    pub(crate) async fn order_at(&self, tick: Timestamp, scheduler: &Scheduler, jobs: &[&str]) {
        wait_for(tick).await;
        let first = self.0.lock().len();
        let request = |job: &&str| HandRequest { job: (*job).to_owned(), firing: None };
        self.0.lock().extend(jobs.iter().map(request));
        self.repeat_from(first, scheduler).await;
    }

    /// Repeats each open request.
    pub(crate) async fn repeat(&self, scheduler: &Scheduler) {
        self.repeat_from(0, scheduler).await;
    }

    async fn repeat_from(&self, first: usize, scheduler: &Scheduler) {
        let requests = self.0.lock().clone().into_iter().enumerate().skip(first);
        let open = requests.filter(|(_, request)| request.firing.is_none());
        let sent = open.map(|(number, request)| async move {
            if let Some(firing) = scheduler.fire(&request.job, &format!("hand-{number}")).await {
                self.0.lock()[number].firing = Some(firing);
            }
        });
        join_all(sent).await;
    }

    /// Repeats open requests until all are answered.
    pub(crate) async fn finish(&self, scheduler: &Scheduler) {
        until("each firing by hand is answered", async || {
            self.repeat(scheduler).await;
            let done = self.0.lock().iter().all(|request| request.firing.is_some());
            if !done {
                tokio::time::sleep(REPEAT_INTERVAL).await;
            }
            done
        })
        .await;
    }

    /// Checks that the firings by hand are those that were ordered, each once.
    pub(crate) fn check(&self, firings: &[Firing]) {
        let by_hand = firings.iter().filter(|firing| firing.origin == Origin::Manual);
        let mut recorded: Vec<String> = by_hand.map(|firing| firing.id.to_string()).collect();
        let mut ordered: Vec<String> =
            self.0.lock().iter().filter_map(|request| request.firing.clone()).collect();
        recorded.sort();
        ordered.sort();
        assert_eq!(recorded, ordered);
        assert_eq!(
            recorded.len(),
            self.0.lock().len(),
            "two requests have one firing, or one is not answered"
        );
        assert!(!recorded.is_empty(), "jobs were fired by hand");
    }
}

/// Returns the next whole second.
pub(crate) fn next_second() -> Timestamp {
    Timestamp::from_second(SystemClock.now().as_second() + 1).unwrap()
}

/// Waits until a moment. Not a wait for something to happen: the moment is the input of a test.
pub(crate) async fn wait_for(moment: Timestamp) {
    let left = moment.duration_since(SystemClock.now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
}
