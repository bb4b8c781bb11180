//! The property of edits on a file.

use std::sync::Arc;

use ecs_scheduler_testing::edit_property::check_life_of_edits;
use ecs_scheduler_testing::hold_time;

use crate::support::StoreFile;

/// How many lives are played, each on a file of its own.
const LIVES: u64 = 20;

#[tokio::test(start_paused = true)]
async fn kills_and_edits_and_faults_at_any_moment_leave_every_tick_one_outcome() {
    for seed in 0..LIVES {
        let file = StoreFile::new();
        let store = hold_time(file.store()).await;
        check_life_of_edits(Arc::new(store), false, seed).await;
    }
}
