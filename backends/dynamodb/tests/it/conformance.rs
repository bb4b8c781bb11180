//! The DynamoDB store against the suites that every store passes.

use crate::emulator::EmulatorKind;
use crate::help::TestTables;

mod on_ministack {
    use super::{EmulatorKind, TestTables};

    ecs_scheduler_testing::store_suite!(TestTables::on(EmulatorKind::Ministack));
    ecs_scheduler_testing::store_sharing_suite!(TestTables::on(EmulatorKind::Ministack));
    ecs_scheduler_testing::shared_store_suite!(TestTables::on(EmulatorKind::Ministack));
    ecs_scheduler_testing::store_durability_suite!(TestTables::on(EmulatorKind::Ministack));
}

mod on_dynoxide {
    use super::{EmulatorKind, TestTables};

    ecs_scheduler_testing::store_suite!(TestTables::on(EmulatorKind::Dynoxide));
    ecs_scheduler_testing::store_sharing_suite!(TestTables::on(EmulatorKind::Dynoxide));
    ecs_scheduler_testing::shared_store_suite!(TestTables::on(EmulatorKind::Dynoxide));
    ecs_scheduler_testing::store_durability_suite!(TestTables::on(EmulatorKind::Dynoxide));
}

mod on_the_fake {
    use super::{EmulatorKind, TestTables};

    ecs_scheduler_testing::store_suite!(TestTables::on(EmulatorKind::Fake));
    ecs_scheduler_testing::store_sharing_suite!(TestTables::on(EmulatorKind::Fake));
    ecs_scheduler_testing::shared_store_suite!(TestTables::on(EmulatorKind::Fake));
    ecs_scheduler_testing::store_durability_suite!(TestTables::on(EmulatorKind::Fake));
}
