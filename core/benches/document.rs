//! How long a job document takes: `cargo bench -p ecs-scheduler-core --bench document`.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

use ecs_scheduler_core::job::{ScheduleView, prepare_create};
use ecs_scheduler_core::schedule::{ScheduleCache, Strictness};
use ecs_scheduler_core::{Job, JobContext, JobId, TriggerRegistry};
use serde_json::{Map, Value};

const ORDINARY: &str = r#"{"taskDefinition": "import-files", "schedule": "0 30 6 mon-fri", "timezone": "Europe/Berlin",
    "taskCount": 2, "maxCount": 10, "cooldown": "5m", "scheduleStart": "2026-01-01T00:00:00+01:00",
    "overrides": [{"containerName": "worker", "environment": {"MODE": "full", "LEVEL": "3"}}]}"#;

fn measure(name: &str, mut once: impl FnMut()) {
    let rounds = 20_000;
    let start = Instant::now();
    for _ in 0..rounds {
        once();
    }
    println!("{name:<24} {:>8.2} µs", start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
}

fn main() {
    let registry = TriggerRegistry::new();
    let max_tasks = NonZeroU32::new(50).expect("50 is not zero");
    let cx = JobContext {
        registry: &registry,
        max_tasks,
        strictness: Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    let id = JobId::new("import-files").expect("a valid name");
    let document: Map<String, Value> = serde_json::from_str(ORDINARY).expect("JSON");
    let cache = ScheduleCache::new(1_000);
    let now = "2026-11-22T12:00:00Z".parse().expect("a moment");
    measure("Job::parse", || {
        black_box(Job::parse(&id, black_box(&document), &cx)).expect("it is right");
    });
    measure("from text to Job", || {
        let document = serde_json::from_str(black_box(ORDINARY)).expect("JSON");
        black_box(Job::parse(&id, &document, &cx)).expect("it is right");
    });
    measure("ScheduleView", || {
        let view = ScheduleView::read(black_box(ORDINARY)).expect("it is right");
        black_box(view.schedule(&id, &cache)).expect("it is right");
    });
    measure("prepare_create", || {
        let body = Value::Object(document.clone());
        black_box(prepare_create(body, &cx, now)).expect("it is right");
    });
}
