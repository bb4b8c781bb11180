//! The suites of the core.

mod on_moto {
    use crate::bucket::Site;
    use crate::emulator::moto;

    ecs_scheduler_core::store_suite!(Site::at(moto().await));
    ecs_scheduler_core::store_durability_suite!(Site::at(moto().await));
}

mod on_ministack {
    use crate::bucket::Site;
    use crate::emulator::ministack;

    ecs_scheduler_core::store_durability_suite!(Site::at(ministack().await));
}
