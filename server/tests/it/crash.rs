//! Crashes of the real program: it is killed again and again on the same files, and in the end the journal must hold
//! every tick once and every task that really started, each once.
//!
//! The oracle is not the scheduler's own: each task appends a line to a file as its first act. `O_APPEND` makes one
//! short line one write, so the file has one line for each task that began, independent of the state of the scheduler.
//!
//! Random kills find the moments that nobody thought of; [`steps`] ends a scheduler before and after each of its
//! writes and calls in turn. `make crash` does both at length.

mod attacked;
pub(crate) mod audit;
mod descriptors;
pub(crate) mod followed;
mod full;
pub(crate) mod hand_firings;
pub(crate) mod moving_edits;
pub(crate) mod process;
pub(crate) mod site;
pub(crate) mod steps;
mod terminate;

use std::time::Duration;

use ecs_scheduler_testing::SimRng;
use jiff::SignedDuration;
use serde_json::json;

use audit::{audit_edited, open_read_only};
use hand_firings::{HandFirings, next_second, wait_for};
use moving_edits::MovingEdits;
use process::Scheduler;
use site::Site;

/// How often the scheduler is killed when nothing else is asked for.
pub(crate) const ROUNDS: usize = 12;
/// Asks for another number of kills: `make crash` sets it.
const ROUNDS_VARIABLE: &str = "ECSS_CRASH_ROUNDS";
/// The kills come by this seed.
const SEED: u64 = 20_270_301;

/// Returns how often to kill.
#[expect(clippy::disallowed_methods, reason = "the length of a test is no setting of the product")]
pub(crate) fn rounds() -> usize {
    std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |text| text.parse().expect("ECSS_CRASH_ROUNDS is a number"))
}

/// Creates jobs that are due every second: of one to three tasks, on two spellings of the schedule, one whose tasks
/// outlive the next tick and may overlap, and one whose ticks are moved by edits.
async fn create_jobs(scheduler: &Scheduler) {
    for (id, job) in [
        ("one", json!({"taskDefinition": "short", "schedule": "*"})),
        ("two", json!({"taskDefinition": "short", "schedule": "rate(1 second)", "taskCount": 2})),
        ("three", json!({"taskDefinition": "short", "schedule": "*", "taskCount": 3, "maxCount": 4})),
        (
            "moved",
            json!({
                "taskDefinition": "short", "schedule": "*", "overlap": "allow", "maxCount": 50,
                "catchUp": {"policy": "all", "max": 50},
            }),
        ),
        ("overlapping", json!({"taskDefinition": "long", "schedule": "*/2", "overlap": "allow"})),
    ] {
        scheduler.create(id, &job).await;
    }
}

#[tokio::test]
async fn a_scheduler_killed_at_random_moments_loses_no_tick_and_starts_no_task_twice() {
    let site = Site::new();
    site.define("short", "");
    site.define("long", "sleep 1.5");
    let scheduler = Scheduler::start(&site).await;
    create_jobs(&scheduler).await;
    site.wait_for_starts(1).await;
    scheduler.kill().await;
    let (edits, by_hand) = (MovingEdits::default(), HandFirings::default());
    let mut rng = SimRng::new(SEED);
    for number in 0..rounds() {
        // One life in four is not even waited for, so that recovery is interrupted too.
        let scheduler = if rng.chance(0.25) {
            Scheduler::spawn(&site)
        } else {
            let scheduler = Scheduler::start(&site).await;
            // At once: what was due while there was no scheduler is not settled yet.
            scheduler.edit_without_moving(&["one", "three"], number).await;
            edits.edit(&scheduler, "moved", async || open_read_only(&site).await).await;
            by_hand.repeat(&scheduler).await;
            scheduler
        };
        // A request under way keeps its key for ten seconds: those of later lives could not be repeated before the end.
        if number < rounds() / 6 {
            let tick = next_second();
            let killed = wait_for(tick + SignedDuration::from_millis(i64::try_from(rng.below(60)).unwrap()));
            tokio::select! {
                () = killed => {}
                () = async {
                    by_hand.order_at(tick, &scheduler, &["moved", "overlapping"]).await;
                    std::future::pending().await
                } => {}
            }
            scheduler.kill().await;
            continue;
        }
        // Not a wait for something to happen: the point in time at which the power goes is the input of this test.
        tokio::time::sleep(Duration::from_millis(30 + rng.below(370))).await;
        scheduler.kill().await;
    }
    let scheduler = Scheduler::start(&site).await;
    by_hand.order_at(next_second(), &scheduler, &["moved", "overlapping"]).await;
    by_hand.finish(&scheduler).await;
    scheduler.quiesce().await;
    scheduler.terminate().await;
    let audit = audit_edited(&site, &edits, &by_hand).await;
    assert!(audit.firings > 4 && audit.tasks > audit.firings, "jobs were fired throughout: {audit:?}");
}
