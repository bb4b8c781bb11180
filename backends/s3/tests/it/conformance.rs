//! The suites of the core.

mod on_moto {
    use crate::bucket::TestBucket;
    use crate::emulator::moto;

    ecs_scheduler_testing::store_suite!(TestBucket::at(moto().await));
    ecs_scheduler_testing::store_durability_suite!(TestBucket::at(moto().await));
}

mod on_ministack {
    use crate::bucket::TestBucket;
    use crate::emulator::ministack;

    ecs_scheduler_testing::store_durability_suite!(TestBucket::at(ministack().await));
}
