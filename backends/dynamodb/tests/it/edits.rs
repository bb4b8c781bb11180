//! The property of edits on the fake. Two replicas make so many calls that one life takes more than a minute.

use std::sync::Arc;

use ecs_scheduler_testing::edit_property::{BEGIN, check_life_of_edits};
use ecs_scheduler_testing::{SimClock, hold_time};

use crate::emulator::EmulatorKind;
use crate::help::TestTables;

/// How many lives are played, each on tables of its own.
const LIVES: u64 = 5;

#[tokio::test(start_paused = true)]
async fn kills_and_edits_and_faults_at_any_moment_leave_every_tick_one_outcome() {
    for seed in 0..LIVES {
        // Registers expire by the clock of the life.
        let clock = Arc::new(SimClock::at(BEGIN));
        let tables = TestTables::on(EmulatorKind::Fake);
        let store = hold_time(tables.try_open(clock)).await.expect("the store opens");
        check_life_of_edits(Arc::new(store), false, seed).await;
    }
}
