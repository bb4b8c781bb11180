//! Formats that the core writes: the JSON of jobs, decisions and firings, and the content of registers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::backfill::BackfillRequest;
use ecs_scheduler_core::replica::{Replica, ReplicaId, ReplicaOptions, Timing};
use ecs_scheduler_core::{
    Clock, Engine, EngineOptions, FaultKind, JobId, JobStore as _, JobUid, Launcher, MemoryStore, NewJob,
    Registers as _, Shard, SharedStore as _, Store, Timestamp, TriggerRegistry,
};
use ecs_scheduler_testing::format_fixture::{assert_pinned, read_content, write_content};
use ecs_scheduler_testing::{ChaosLauncher, SimClock, StoreFaults};
use serde_json::{Value, json};

use crate::engine::budget::budget;
use crate::engine::notify::{DeliveryFault, Recorder};
use crate::engine::support::{Script, Stage};

const BEGIN: &str = "2027-01-15T08:00:00Z";

#[tokio::test]
async fn jobs_decisions_and_firings_keep_their_json() {
    let store = MemoryStore::default();
    write_content(&store).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1/content.jsonl");
    assert_pinned(&file, &read_content(&store).await);
}

/// An engine that has nothing to do.
fn engine(store: &Arc<MemoryStore>) -> Engine {
    let clock: Arc<dyn Clock> = Arc::new(SimClock::at(BEGIN.parse::<Timestamp>().unwrap()));
    Engine {
        options: EngineOptions::default(),
        store: Arc::clone(store) as Arc<dyn Store>,
        launcher: Arc::new(ChaosLauncher::new(Arc::clone(&clock), 1)) as Arc<dyn Launcher>,
        registry: Arc::new(TriggerRegistry::new()),
        clock,
    }
}

async fn register(store: &MemoryStore, name: &str) -> Value {
    let register = store.get_register(name).await.unwrap().unwrap();
    serde_json::from_str(&register.value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_register_of_the_brake_keeps_its_json() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(&store).start().await.unwrap();
    engine.brake("incident".to_owned()).await.unwrap();
    assert_eq!(register(&store, "brake").await, json!({ "reason": "incident", "since": BEGIN }));
    engine.release().await.unwrap();
    assert_eq!(register(&store, "brake").await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn the_registers_of_a_backfill_keep_their_names_and_json() {
    let store = Arc::new(MemoryStore::default());
    let engine = engine(&store).start().await.unwrap();
    engine.brake("incident".to_owned()).await.unwrap();
    let (id, uid) = (JobId::new("job").unwrap(), JobUid::derived("store", &JobId::new("job").unwrap()));
    let document = json!({"taskDefinition": "job", "schedule": ["0 0 *", "0 20 5"]});
    let document = serde_json::value::to_raw_value(&document).unwrap();
    let at = BEGIN.parse().unwrap();
    store.create(NewJob { id: id.clone(), uid, document, at }).await.unwrap();
    let range = ["2027-01-01T04:00:00Z", "2027-01-01T07:00:00Z"].map(|moment| moment.parse().unwrap());
    let mut request = BackfillRequest::new(range[0], range[1]);
    (request.reason, request.actor) = (Some("wrong input".to_owned()), Some("ada".to_owned()));
    let backfill = engine.start_backfill(&id, request).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let expected = json!({
        "id": backfill.id, "job": "job", "uid": uid, "from": range[0], "to": range[1], "overlap": 1,
        "reason": "wrong input", "actor": "ada", "started": BEGIN, "state": "running", "total": 4,
        "ticks": [[1_798_776_000, 3_600, 2], [1_798_780_800, 2_400, 2]], "unfinished": [],
        "done": {"succeeded": 0, "failed": 0, "stopped": 0, "notLaunched": 0, "idle": 0, "unknown": 0},
        "waiting": {"outcome": "suspended", "reason": "the brake is on: incident", "since": BEGIN},
    });
    assert_eq!(register(&store, &format!("backfill/{uid}")).await, expected);
    let list = store.registers("backfills/").await.unwrap();
    assert_eq!((list.len(), list[0].0.len()), (1, "backfills/00".len()));
    let listed: Value = serde_json::from_str(&list[0].1.value).unwrap();
    assert_eq!(listed, json!([{"id": backfill.id, "job": "job", "uid": uid}]));
}

#[tokio::test(start_paused = true)]
async fn the_registers_of_replicas_keep_their_names_and_json() {
    let store = Arc::new(MemoryStore::default());
    let options = ReplicaOptions {
        id: ReplicaId::new("a").unwrap(),
        address: "http://10.0.0.1:5000".to_owned(),
        timing: Timing::default(),
    };
    let replica = Replica { options, engine: engine(&store), store: Arc::clone(&store) as _ };
    let replica = replica.join().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let registers = store.registers("fleet/").await.unwrap();
    let names: Vec<String> = registers.into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        (names.len(), names[0].as_str(), names[8].as_str()),
        (17, "fleet/replica/a", "fleet/shard/07")
    );
    let beat = register(&store, "fleet/replica/a").await;
    let (life, number) = (beat["life"].as_str().unwrap(), beat["beat"].as_u64().unwrap());
    let expected = json!({
        "id": "a", "life": life, "address": "http://10.0.0.1:5000", "started": BEGIN, "beat": number,
    });
    assert_eq!(beat, expected);
    let owner = register(&store, "fleet/shard/07").await;
    assert_eq!(owner, json!({ "owner": { "id": "a", "life": life } }));
    replica.stop(std::time::Duration::from_secs(10)).await;
    assert_eq!(register(&store, "fleet/replica/a").await["leaving"], true);
    assert_eq!(register(&store, "fleet/shard/07").await, json!({}));
}

async fn stage_register(stage: &Stage, name: &str) -> Value {
    let register = stage.world.store.get_register(name).await.unwrap().unwrap();
    serde_json::from_str(&register.value).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_register_of_budgets_keeps_its_json() {
    let mut stage = Stage::at("2026-01-01T09:59:50Z");
    stage.world.options.budgets = [budget("shared", Some(3), None)].into();
    *stage.launcher.run_for.lock() = Some(Duration::from_mins(10));
    for (id, schedule, tasks) in [("first", "0 0 *", 3), ("second", "10 0 *", 1)] {
        let job = json!({
            "taskDefinition": id, "schedule": schedule, "taskCount": tasks, "labels": {"team": "a"},
        });
        stage.world.create(id, &job).await.unwrap();
    }
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:30Z").await;
    let used = json!({"owner": 0, "budgets": {"shared": {
        "held": [3, 0, 0, 0, 0], "launches": {"5890872": 3},
    }}});
    let waiting =
        json!(
            [15_502_510_419_124_884_553_u64, 1_767_261_610, 1_767_261_610, 1_767_265_210, [1, 1, 0, 0, 0],]
        );
    let waits = json!({"owner": 0, "budgets": {"shared": {"waiting": [waiting]}}});
    assert_eq!(stage_register(&stage, "budgets").await, json!({"parts": {"10": used, "15": waits}}));
}

#[tokio::test(start_paused = true)]
async fn the_registers_of_retried_ticks_keep_their_names_and_json() {
    let stage = Stage::at("2026-01-01T02:59:00Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 0 3"});
    let job = stage.world.create("job", &job).await.unwrap();
    let shard = Shard::from_job(&job.id);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    *stage.launcher.population_fails.lock() = true;
    stage.until("2026-01-01T03:00:00.5Z").await;
    let kept = stage_register(&stage, &format!("tick-tries/{shard}")).await;
    let uid = json!(job.uid).as_str().unwrap().to_owned();
    let next: Timestamp = kept[&uid]["nextTry"].as_str().unwrap().parse().unwrap();
    let tick = "2026-01-01T03:00:00Z";
    let expected = json!({uid: {
        "tick": tick, "outcome": "live_unknown", "reason": "could not list tasks", "tries": 1, "since": tick,
        "nextTry": next,
    }});
    assert_eq!(kept, expected);
}

#[tokio::test(start_paused = true)]
async fn the_registers_of_failing_jobs_and_notifications_keep_their_names_and_json() {
    let mut stage = Stage::at("2026-01-01T10:00:30Z");
    let recorder = Recorder::new(&stage.world.clock);
    recorder.set_fault("ops", Some(DeliveryFault::Fails));
    stage.world.options.notifier = Some(recorder);
    let job = json!({
        "taskDefinition": "job", "schedule": "0 *", "notify": [{"to": "ops", "on": ["failing:1"]}],
    });
    let job = stage.world.create("job", &job).await.unwrap();
    let shard = Shard::from_job(&job.id);
    stage.launcher.script.lock().push_back(Script::Fail { kind: FaultKind::Denied });
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:10Z").await;
    assert_eq!(stage_register(&stage, &format!("failing-jobs/{shard}")).await, json!(["job"]));
    let outbox = stage_register(&stage, &format!("notifications/{shard}")).await;
    let uid = json!(job.uid).as_str().unwrap().to_owned();
    let moment = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let (written, next) = (moment(&outbox["derivedUntil"]), moment(&outbox["pending"][0]["nextAttempt"]));
    let (id, at, since) = ("U-zF5BG7ADkHij83x5QEcWXF", "2026-01-01T10:01:02Z", "2026-01-01T10:01:00Z");
    let text = format!("1 tick failed (launch_failed) since {since}: could not run task");
    let failed = json!({"job": "job", "text": text, "since": since, "count": 1});
    let expected = json!({
        "derivedUntil": written,
        "recent": [[id, at]],
        "jobs": {uid: {
            "job": "job", "failing": [{"channel": "ops", "threshold": 1}], "outcome": "launch_failed",
            "tasks": false,
        }},
        "pending": [{
            "channel": "ops", "notification": {"id": id, "kind": "failing", "at": at, "jobs": [failed]},
            "attempts": 2, "nextAttempt": next, "error": "the receiver answered 500",
        }],
        "failed": [],
    });
    assert_eq!(outbox, expected);
}
