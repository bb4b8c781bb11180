use std::num::NonZeroU32;

use ecs_scheduler_core::job::{JobId, Progress};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{SystemClock, Timestamp, TriggerRegistry};
use serde_json::json;

use super::*;

fn job(revision: u64) -> StoredJob {
    let id = JobId::new("report").unwrap();
    StoredJob {
        uid: JobUid::derived("test", &id),
        id,
        revision: Revision(revision),
        document: serde_json::value::to_raw_value(&json!({"taskDefinition": "report", "schedule": "0 30 2"}))
            .unwrap(),
        created: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        progress: Progress::default(),
    }
}

#[test]
fn each_revision_of_a_job_is_parsed_once() {
    let (cache, registry) = (JobSummaryCache::new(), TriggerRegistry::new());
    let max_tasks = NonZeroU32::new(50).unwrap();
    let cx = JobContext {
        registry: &registry,
        max_tasks,
        strictness: Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    let get = |revision| cache.get(&job(revision), &cx, &SystemClock);
    let first = get(1);
    assert!(first.ticks.is_some());
    assert!(Arc::ptr_eq(&first, &get(1)));
    assert!(!Arc::ptr_eq(&first, &get(2)));
}
