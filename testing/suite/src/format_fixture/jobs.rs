//! The jobs of the content.

use uuid::Uuid;

use super::content::stored;
use crate::sample::{self, at, document, name};
use ecs_scheduler_core::firing::FiringId;
use ecs_scheduler_core::job::{JobUid, LastRunTask, Progress, Revision, StoredJob};
use ecs_scheduler_core::store::{NewJob, Store};
use ecs_scheduler_core::task::TaskId;

/// A job with one task for each message of an SQS queue.
const ORDERS: &str = r#"{"taskDefinition":"order-worker","schedule":"rate(30 seconds)","trigger":{"type":"sqs","queueName":"orders","messagesPerTask":1},"mode":"oneShot","maxCount":50,"settle":"60s"}"#;
/// A job whose tasks empty a queue.
const DRAINER: &str = r#"{"taskDefinition":"drainer","schedule":"rate(1 minute)","trigger":{"type":"sqs","queueName":"drain","messagesPerTask":10},"mode":"drain","labels":{"team":"Grüße ✓"}}"#;
const NIGHTLY: &str = r#"{"taskDefinition":"import-files","schedule":"0 0 2 mon-fri","timezone":"Europe/Berlin","taskCount":2}"#;
/// The second version of `nightly`: ticks of the first had no outcome when it was written.
const NIGHTLY_EDITED: &str = r#"{"taskDefinition":"import-files","schedule":"0 30 3","timezone":"Europe/Berlin","taskCount":2,"maxCount":10,"overlap":"replace","timeout":"1h30m","startTimeout":"10m","succeedsBy":"worker","overrides":[{"containerName":"worker","environment":{"MODE":"full"},"command":["run","--all"],"cpu":256}],"earlierSchedules":[{"from":"2027-01-15T08:00:00.123456789Z","until":"2027-01-15T08:00:05.123456789Z","schedule":"0 0 2 mon-fri","timezone":"Europe/Berlin"}]}"#;
const PAUSED: &str = r#"{"taskDefinition":"paused","schedule":"rate(5 minutes)","suspended":true,"suspension":{"reason":"maintenance","actor":"ops","until":"2027-02-01T00:00:00Z"}}"#;

/// The identity of the job with this number.
pub(super) fn uid(number: u128) -> JobUid {
    JobUid::from_uuid(Uuid::from_u128(0x0123_4567_89ab_4cde_8f01_2345_6789_0000 + number))
}

pub(super) fn new_job(id: &str, number: u128, text: &str) -> NewJob {
    NewJob { uid: uid(number), ..sample::new_job(id, text) }
}

pub(super) async fn create_jobs(store: &dyn Store) {
    let jobs = [
        ("orders", ORDERS),
        ("drainer", DRAINER),
        ("nightly", NIGHTLY),
        ("paused", PAUSED),
        ("departed", r#"{ "schedule" : "rate(1 hour)" }"#),
    ];
    for (number, (id, text)) in (1..).zip(jobs) {
        store.create(new_job(id, number, text)).await.expect("the name is free");
    }
    let nightly = stored(store, "nightly").await;
    let edited = document(NIGHTLY_EDITED);
    store.replace(&nightly.id, nightly.revision, edited, at(5)).await.expect("the revision is this");
}

/// A job of another store, with every field of its progress.
pub(super) fn adopted_job() -> StoredJob {
    let tasks = [("t1", Some("host-1")), ("t2", None)];
    let task = |(task, host): (&str, Option<&str>)| LastRunTask {
        task_id: TaskId::new(task),
        host_id: host.map(str::to_owned),
    };
    StoredJob {
        id: name("adopted"),
        uid: uid(7),
        revision: Revision(5),
        document: document(r#"{"taskDefinition":"adopted","schedule":"rate(1 day)"}"#),
        created: at(-5000),
        changed: at(-4000),
        progress: Progress {
            settled: Some(at(-300)),
            last_firing: Some(FiringId::for_tick(&uid(7), at(-300))),
            last_fired: Some(at(-299)),
            last_run: Some(at(-310)),
            last_run_tasks: tasks.map(task).to_vec(),
        },
    }
}
