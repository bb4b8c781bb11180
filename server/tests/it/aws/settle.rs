//! The mode `oneShot` against counts of a queue that are old, end to end: tasks are started
//! for messages that no longer wait. All times are a tenth of those of SQS and Fargate.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use ecs_scheduler_fake_aws::EventFeed;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::stage::Stage;
use crate::crash::site::until;

/// The age of the queue's counts, and the `settle` that fits it: the default is 60 s.
const LAG_SECONDS: i64 = 6;
/// The interval at which consumers look at their tasks.
const WORK_INTERVAL: Duration = Duration::from_millis(100);
/// How many messages arrive at once, and how many when the tasks for those have ended.
const BURST: usize = 6;
const SINGLES: usize = 1;

/// The messages of one job, and the tasks that take them.
struct Consumers {
    job: &'static str,
    queue: String,
    /// The message of each task that was seen running; none if there was none left for it.
    taken: RefCell<BTreeMap<String, Option<String>>>,
    done: RefCell<usize>,
    sent: RefCell<usize>,
}

impl Consumers {
    async fn send(&self, stage: &Stage<'_>, count: usize) {
        stage.send(&self.queue, count).await;
        *self.sent.borrow_mut() += count;
    }

    /// Lets tasks that run take a message each, and deletes the messages of tasks that have ended.
    async fn work(&self, stage: &Stage<'_>) {
        let tasks = stage.tasks(self.job).await;
        let named = |task: &Value| task["taskArn"].as_str().unwrap().to_owned();
        for task in tasks.iter().filter(|task| task["lastStatus"] == "RUNNING").map(named) {
            if self.taken.borrow().contains_key(&task) {
                continue;
            }
            let call = json!({"QueueUrl": self.queue, "VisibilityTimeout": 120});
            let answer = stage.cloud.sqs("ReceiveMessage", call).await;
            let receipt = answer["Messages"][0]["ReceiptHandle"].as_str().map(str::to_owned);
            self.taken.borrow_mut().insert(task, receipt);
        }
        let alive: Vec<String> = tasks.iter().map(named).collect();
        let mut ended = Vec::new();
        for (task, receipt) in self.taken.borrow_mut().iter_mut() {
            if !alive.contains(task) {
                ended.extend(receipt.take());
            }
        }
        for receipt in ended {
            let call = json!({"QueueUrl": self.queue, "ReceiptHandle": receipt});
            stage.cloud.sqs("DeleteMessage", call).await;
            *self.done.borrow_mut() += 1;
        }
    }

    /// Tells whether every message is done, the counts say so too, and no task is left.
    async fn is_over(&self, stage: &Stage<'_>) -> bool {
        let (done, sent) = (*self.done.borrow(), *self.sent.borrow());
        done == sent && stage.messages(&self.queue).await == 0 && stage.tasks(self.job).await.is_empty()
    }

    /// Returns how many tasks were started for nothing.
    fn useless_starts(&self, stage: &Stage<'_>) -> usize {
        let owner = stage.started_by(self.job);
        let launches = stage.cloud.fake().launches();
        let started = launches.iter().filter(|launch| launch.started_by.as_deref() == Some(&owner)).count();
        started - *self.sent.borrow()
    }
}

#[tokio::test]
async fn settle_of_the_age_of_the_counts_starts_no_useless_task_and_a_short_one_does() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "settling").await;
    let events = stage.queue("events").await;
    cloud.fake().configure(|settings| {
        settings.sqs.counts_lag = SignedDuration::from_secs(LAG_SECONDS);
        let life = &mut settings.ecs.life;
        life.provisioning = SignedDuration::from_secs(2);
        life.pending = SignedDuration::from_millis(500);
        life.run = Some(SignedDuration::from_secs(2));
        // Ends are seen at once, as with the real times.
        let feed = EventFeed { queue: events, ..EventFeed::default() };
        settings.ecs.events.insert("settling".to_owned(), feed);
    });
    let playing = stage.start_with(&[("ECSS_ECS_EVENTS_QUEUE", stage.family("events"))]).await;
    let mut all = Vec::new();
    for (job, rule) in [
        ("right", json!({"mode": "oneShot", "settle": format!("{LAG_SECONDS}s")})),
        ("short", json!({"mode": "oneShot", "settle": "1s"})),
        ("total", json!({"mode": "total"})),
    ] {
        let queue = stage.queue(job).await;
        let trigger = json!({"type": "sqs", "queueUrl": queue, "messagesPerTask": 1});
        let mut more = json!({"maxCount": 30, "trigger": trigger});
        more.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        playing.create(job, &stage.job(&more)).await;
        let consumers = Consumers {
            job,
            queue,
            taken: RefCell::default(),
            done: RefCell::default(),
            sent: RefCell::default(),
        };
        consumers.send(&stage, BURST).await;
        all.push(consumers);
    }
    until("every message is done, and the counts say so", async || {
        for consumers in &all {
            consumers.work(&stage).await;
            let (done, sent) = (*consumers.done.borrow(), *consumers.sent.borrow());
            if done == sent && sent < BURST + SINGLES {
                consumers.send(&stage, 1).await;
            }
        }
        let mut over = true;
        for consumers in &all {
            over = over && consumers.is_over(&stage).await;
        }
        tokio::time::sleep(WORK_INTERVAL).await;
        over
    })
    .await;
    let useless_starts: Vec<usize> = all.iter().map(|consumers| consumers.useless_starts(&stage)).collect();
    println!("tasks without a message: {useless_starts:?} beside {} with one", BURST + SINGLES);
    let [right, short, total] = useless_starts[..] else { unreachable!("three jobs") };
    assert!(right <= 1 && short > right + 1 && total > right + 1, "{useless_starts:?}");
}
