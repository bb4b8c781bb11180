//! The suites of the core.

mod on_moto {
    use crate::emulator::moto;
    use crate::site::Site;

    ecs_scheduler_core::store_suite!(Site::at(moto().await));
    ecs_scheduler_core::store_durability_suite!(Site::at(moto().await));
}

mod on_ministack {
    use crate::emulator::ministack;
    use crate::site::Site;

    ecs_scheduler_core::store_durability_suite!(Site::at(ministack().await));
}
