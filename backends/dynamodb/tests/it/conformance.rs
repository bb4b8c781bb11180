//! The DynamoDB store against the suites that every store runs.

use crate::emulator::Kind;
use crate::help::Place;

mod on_ministack {
    use super::{Kind, Place};

    ecs_scheduler_core::store_suite!(Place::on(Kind::Ministack));
    ecs_scheduler_core::store_sharing_suite!(Place::on(Kind::Ministack));
    ecs_scheduler_core::shared_store_suite!(Place::on(Kind::Ministack));
    ecs_scheduler_core::store_durability_suite!(Place::on(Kind::Ministack));
}

mod on_dynoxide {
    use super::{Kind, Place};

    ecs_scheduler_core::store_suite!(Place::on(Kind::Dynoxide));
    ecs_scheduler_core::store_sharing_suite!(Place::on(Kind::Dynoxide));
    ecs_scheduler_core::shared_store_suite!(Place::on(Kind::Dynoxide));
    ecs_scheduler_core::store_durability_suite!(Place::on(Kind::Dynoxide));
}

mod on_the_fake {
    use super::{Kind, Place};

    ecs_scheduler_core::store_suite!(Place::on(Kind::Fake));
    ecs_scheduler_core::store_sharing_suite!(Place::on(Kind::Fake));
    ecs_scheduler_core::shared_store_suite!(Place::on(Kind::Fake));
    ecs_scheduler_core::store_durability_suite!(Place::on(Kind::Fake));
}
