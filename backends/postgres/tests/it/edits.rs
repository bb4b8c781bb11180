//! The property of edits, alone and with replicas.

use std::sync::Arc;

use ecs_scheduler_testing::edit_property::check_life_of_edits;
use ecs_scheduler_testing::hold_time;

use crate::fixture::TestSchema;

/// Plays so many lives, each in a schema of its own.
async fn check_lives(shared: bool, lives: u64) {
    for seed in 0..lives {
        let store = hold_time(async { TestSchema::new().store().await }).await;
        check_life_of_edits(Arc::new(store), shared, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn kills_and_edits_and_faults_at_any_moment_leave_every_tick_one_outcome() {
    check_lives(false, 6).await;
}

#[tokio::test(start_paused = true)]
async fn kills_of_replicas_and_edits_and_faults_at_any_moment_leave_every_tick_one_outcome() {
    check_lives(true, 1).await;
}
