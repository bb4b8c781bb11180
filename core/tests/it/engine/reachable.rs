//! The fault of a launcher that cannot reach its platform.

use std::sync::atomic::Ordering;

use ecs_scheduler_core::FaultKind;
use ecs_scheduler_testing::StoreFaults;
use serde_json::json;

use super::support::{Script, Stage};

#[tokio::test(start_paused = true)]
async fn launcher_fault_stays_while_launches_get_no_answer_though_other_jobs_are_counted() {
    for cached in [false, true] {
        let stage = Stage::at("2026-01-01T09:59:50Z");
        let job = |schedule: &str| json!({"taskDefinition": "job", "schedule": schedule});
        stage.world.create("launches", &job("0 0 *")).await.unwrap();
        stage.world.create("satisfied", &job("*")).await.unwrap();
        *stage.launcher.run_for.lock() = None;
        stage.launcher.start_unrecorded("satisfied", "other");
        stage.launcher.count_from_cache.store(cached, Ordering::Relaxed);
        let unreachable = Script::Fail { kind: FaultKind::Unavailable };
        stage.launcher.script.lock().extend(std::iter::repeat_n(unreachable, 500));
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T09:59:59Z").await;
        assert_eq!(life.engine.status().launcher_fault, None);
        for second in 1..60 {
            stage.until(&format!("2026-01-01T10:00:{second:02}Z")).await;
            let fault = life.engine.status().launcher_fault;
            assert_eq!(fault.as_deref(), Some("could not run task"), "cached: {cached}, second {second}");
        }
        stage.launcher.script.lock().clear();
        stage.until("2026-01-01T10:03:00Z").await;
        assert_eq!(life.engine.status().launcher_fault, None, "cached: {cached}");
    }
}
