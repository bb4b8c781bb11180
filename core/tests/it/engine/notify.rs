//! Notifications: each event once, in order, and none lost.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::notify::{Deliveries, read_deliveries};
use ecs_scheduler_core::{
    Clock as _, DeliveryError, FaultKind, JobId, Notification, NotificationKind, Notifier, NotifyCondition,
    NotifyRule, Shard, Timestamp, async_trait,
};
use ecs_scheduler_testing::{EngineRun, SimClock, StoreFaults};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::retry::Flaky;
use super::support::{Script, Stage};
use crate::log::Log;

/// A notifier that records what it delivers, until a test sets a fault.
#[derive(Debug)]
pub(crate) struct Recorder {
    clock: Arc<SimClock>,
    channels: Vec<String>,
    defaults: Vec<NotifyRule>,
    delivered: Mutex<Vec<(Timestamp, String, Notification)>>,
    /// How deliveries to a channel fail.
    faults: Mutex<Vec<(String, DeliveryFault)>>,
    attempts: Mutex<Vec<Timestamp>>,
}

#[derive(Debug, Clone)]
pub(crate) enum DeliveryFault {
    Fails,
    Hangs,
    Refuses,
    /// The receiver gets it, and the answer is lost.
    LosesAnswers,
}

impl Recorder {
    pub(crate) fn new(clock: &Arc<SimClock>) -> Arc<Self> {
        Self::with_defaults(clock, Vec::new())
    }

    pub(crate) fn with_defaults(clock: &Arc<SimClock>, defaults: Vec<NotifyRule>) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(clock),
            channels: ["ops", "dev"].map(str::to_owned).to_vec(),
            defaults,
            delivered: Mutex::default(),
            faults: Mutex::default(),
            attempts: Mutex::default(),
        })
    }

    pub(crate) fn set_fault(&self, channel: &str, fault: Option<DeliveryFault>) {
        let mut faults = self.faults.lock();
        faults.retain(|(of, _)| of != channel);
        faults.extend(fault.map(|fault| (channel.to_owned(), fault)));
    }

    pub(crate) fn delivered(&self) -> Vec<(Timestamp, String, Notification)> {
        self.delivered.lock().clone()
    }

    /// Returns kind, job and count of each delivered notification of one job.
    fn events(&self) -> Vec<(NotificationKind, String, Option<u64>)> {
        let single = |(_, _, one): (Timestamp, String, Notification)| {
            let job = one.jobs.first().map(|job| (job.job.to_string(), job.count));
            let (job, count) = job.unwrap_or_default();
            (one.kind, job, count)
        };
        self.delivered().into_iter().map(single).collect()
    }

    fn kinds(&self) -> Vec<NotificationKind> {
        self.events().into_iter().map(|(kind, ..)| kind).collect()
    }
}

#[async_trait]
impl Notifier for Recorder {
    fn channels(&self) -> &[String] {
        &self.channels
    }

    fn defaults(&self) -> &[NotifyRule] {
        &self.defaults
    }

    async fn deliver(&self, channel: &str, notification: &Notification) -> Result<(), DeliveryError> {
        self.attempts.lock().push(self.clock.now());
        let fault = self.faults.lock().iter().find(|(of, _)| of == channel).map(|(_, fault)| fault.clone());
        let record = || {
            let delivered = (self.clock.now(), channel.to_owned(), notification.clone());
            self.delivered.lock().push(delivered);
        };
        match fault {
            None => {
                record();
                Ok(())
            }
            Some(DeliveryFault::Fails) => Err(DeliveryError::failed("the receiver answered 500")),
            Some(DeliveryFault::Hangs) => std::future::pending().await,
            Some(DeliveryFault::Refuses) => Err(DeliveryError::refused("the receiver wants no more (410)")),
            Some(DeliveryFault::LosesAnswers) => {
                record();
                Err(DeliveryError::failed("the connection broke"))
            }
        }
    }
}

fn job(on: &[&str]) -> Value {
    json!({"taskDefinition": "job", "schedule": "0 *", "notify": [{"to": "ops", "on": on}]})
}

fn attach(stage: &mut Stage) -> Arc<Recorder> {
    let recorder = Recorder::new(&stage.world.clock);
    stage.world.options.notifier = Some(Arc::clone(&recorder) as Arc<dyn Notifier>);
    recorder
}

/// A stage with a recorder, and a job every minute.
async fn staged(on: &[&str]) -> (Stage, Arc<Recorder>) {
    let mut stage = Stage::at("2026-01-01T10:00:30Z");
    let recorder = attach(&mut stage);
    stage.world.create("job", &job(on)).await.unwrap();
    (stage, recorder)
}

async fn boot(stage: &Stage) -> EngineRun {
    stage.world.boot(StoreFaults::default(), 0).await.unwrap()
}

fn deny(stage: &Stage, times: usize) {
    let denied = std::iter::repeat_n(Script::Fail { kind: FaultKind::Denied }, times);
    stage.launcher.script.lock().extend(denied);
}

async fn deliveries(stage: &Stage) -> Deliveries {
    read_deliveries(&*stage.world.store).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn third_failure_in_a_row_is_reported_once_and_so_is_the_recovery() {
    let (stage, recorder) = staged(&["failing:3", "recovered"]).await;
    let _life = boot(&stage).await;
    deny(&stage, 5);
    stage.until("2026-01-01T10:02:50Z").await;
    assert_eq!(recorder.kinds(), [], "two failures are not three");
    stage.until("2026-01-01T10:05:50Z").await;
    let told = recorder.delivered();
    assert_eq!(recorder.kinds(), [NotificationKind::Failing]);
    let (at, channel, notification) = &told[0];
    assert!(*at < "2026-01-01T10:03:10Z".parse().unwrap(), "{at}");
    let entry = &notification.jobs[0];
    assert_eq!((channel.as_str(), entry.job.as_str(), entry.count), ("ops", "job", Some(3)));
    let text = "3 ticks in a row failed (launch_failed) since 2026-01-01T10:01:00Z: could not run task";
    assert_eq!(entry.text, text);
    stage.until("2026-01-01T10:09:00Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Failing, NotificationKind::Recovered]);
    assert_eq!(
        recorder.delivered()[1].2.summary(),
        "job job works again: its newest tick and its newest tasks are fine"
    );
    assert_eq!(deliveries(&stage).await, Deliveries::default());
    deny(&stage, 3);
    stage.until("2026-01-01T10:15:00Z").await;
    let ids: Vec<_> = recorder.delivered().into_iter().map(|(.., one)| one.id).collect();
    assert_eq!(ids.len(), 4, "the next failure is reported again");
    assert!(ids[0] != ids[2] && ids[1] != ids[3]);
}

#[tokio::test(start_paused = true)]
async fn failing_tasks_are_reported_with_diagnosis_and_remedy() {
    let (stage, recorder) = staged(&["failing:2", "recovered"]).await;
    let succeeds = json!({
        "taskDefinition": "job", "schedule": "0 *", "succeedsBy": "main",
        "notify": [{"to": "ops", "on": ["failing:2", "recovered"]}],
    });
    stage.world.edit("job", &succeeds).await.unwrap();
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(137))];
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:03:50Z").await;
    assert_eq!(recorder.events(), [(NotificationKind::Failing, "job".to_owned(), Some(2))]);
    let entry = recorder.delivered()[0].2.jobs[0].clone();
    assert!(
        entry.text.starts_with("the tasks of 2 firings in a row failed since 2026-01-01T10:01:00Z: "),
        "{entry:?}"
    );
    assert!(entry.firing.is_some() && entry.remedy.is_some(), "{entry:?}");
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(0))];
    stage.until("2026-01-01T10:05:50Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Failing, NotificationKind::Recovered]);
}

#[tokio::test(start_paused = true)]
async fn failure_is_reported_after_a_crash_between_the_journal_and_the_outbox() {
    for on in ["failing:1", "failing:3"] {
        let (stage, recorder) = staged(&[on]).await;
        let life = boot(&stage).await;
        deny(&stage, 3);
        let crash = if on == "failing:1" { "2026-01-01T10:01:01Z" } else { "2026-01-01T10:03:01Z" };
        stage.until(crash).await;
        let before = stage.outcomes("job").await;
        assert_eq!(before.len(), if on == "failing:1" { 1 } else { 3 }, "the journal has the failure");
        assert_eq!((recorder.kinds(), deliveries(&stage).await), (vec![], Deliveries::default()));
        life.crash().await;
        stage.launcher.script.lock().clear();
        let _life = boot(&stage).await;
        stage.until("2026-01-01T10:03:40Z").await;
        assert_eq!(recorder.kinds(), [NotificationKind::Failing], "{on}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_tasks_are_reported_after_a_crash_between_the_journal_and_the_outbox() {
    let (stage, recorder) = staged(&["failing:1"]).await;
    let failing = json!({
        "taskDefinition": "job", "schedule": "0 0 *", "succeedsBy": "main", "notify": [{"to": "ops", "on": ["failing:1"]}],
    });
    stage.world.edit("job", &failing).await.unwrap();
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(1))];
    let life = boot(&stage).await;
    stage.until("2026-01-01T11:00:05Z").await;
    while stage.firings("job").await[0].end().is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    life.crash().await;
    assert_eq!((recorder.kinds(), deliveries(&stage).await), (vec![], Deliveries::default()));
    let _life = boot(&stage).await;
    stage.until("2026-01-01T11:02:00Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Failing]);
}

#[tokio::test(start_paused = true)]
async fn notification_in_the_outbox_is_delivered_once_after_a_crash() {
    let (stage, recorder) = staged(&["failing:1"]).await;
    recorder.set_fault("ops", Some(DeliveryFault::Fails));
    let life = boot(&stage).await;
    deny(&stage, 1);
    stage.until("2026-01-01T10:01:10Z").await;
    let waiting = deliveries(&stage).await.pending;
    assert_eq!((waiting.len(), waiting[0].error.as_deref()), (1, Some("the receiver answered 500")));
    life.crash().await;
    recorder.set_fault("ops", None);
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:05:00Z").await;
    let told = recorder.delivered();
    assert_eq!((told.len(), &told[0].2.id), (1, &waiting[0].notification.id));
    life.crash().await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:10:00Z").await;
    assert_eq!(recorder.delivered().len(), 1, "it is not told again");
}

#[tokio::test(start_paused = true)]
async fn recovery_needs_a_success_and_not_only_an_edit_or_a_restart() {
    let (stage, recorder) = staged(&["failing:1", "recovered"]).await;
    let life = boot(&stage).await;
    deny(&stage, 3);
    stage.until("2026-01-01T10:01:30Z").await;
    let mut edited = job(&["failing:1", "recovered"]);
    edited["description"] = "mended".into();
    stage.world.edit("job", &edited).await.unwrap();
    life.engine.nudge(&"job".parse().unwrap());
    stage.until("2026-01-01T10:02:30Z").await;
    life.crash().await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:03:50Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Failing]);
    stage.until("2026-01-01T10:04:50Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Failing, NotificationKind::Recovered]);
}

#[tokio::test(start_paused = true)]
async fn missed_ticks_are_reported_once_also_after_a_crash() {
    for crashes in [false, true] {
        let (stage, recorder) = staged(&["missed"]).await;
        let mut strict = job(&["missed"]);
        strict["catchUp"] = json!({"policy": "none"});
        stage.world.edit("job", &strict).await.unwrap();
        let life = boot(&stage).await;
        stage.until("2026-01-01T10:02:30Z").await;
        life.crash().await;
        stage.until("2026-01-01T11:02:45Z").await;
        let mut life = boot(&stage).await;
        stage.until("2026-01-01T11:02:46Z").await;
        assert_eq!(recorder.kinds(), []);
        if crashes {
            life.crash().await;
            life = boot(&stage).await;
        }
        stage.until("2026-01-01T11:05:00Z").await;
        let events = recorder.events();
        assert_eq!(events.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [NotificationKind::Missed]);
        let text = recorder.delivered()[0].2.jobs[0].text.clone();
        assert!(
            text.contains("from 2026-01-01T10:03:00Z to ") && text.ends_with("were reached too late"),
            "{text}"
        );
        drop(life);
    }
}

#[tokio::test(start_paused = true)]
async fn tick_without_an_outcome_is_reported_when_it_is_late() {
    let flaky = Flaky::default();
    let mut stage = flaky.stage("2026-01-01T10:00:30Z");
    let recorder = attach(&mut stage);
    let once = json!({
        "taskDefinition": "job", "schedule": "at(2026-01-01T10:01:00)", "trigger": {"type": "flaky"},
        "notify": [{"to": "ops", "on": ["late:5m", "late:20m"]}, {"to": "dev", "on": ["late:2h"]}],
    });
    stage.world.create("once", &once).await.unwrap();
    flaky.fails(FaultKind::Unavailable);
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:05:50Z").await;
    assert_eq!(recorder.kinds(), []);
    stage.until("2026-01-01T10:19:00Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Late]);
    assert_eq!(
        recorder.delivered()[0].2.jobs[0].text,
        "the tick of 2026-01-01T10:01:00Z has no outcome after 5m"
    );
    stage.until("2026-01-01T10:30:00Z").await;
    flaky.works();
    stage.until("2026-01-01T13:00:00Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Late; 2]);
}

#[tokio::test(start_paused = true)]
async fn suspension_is_reported_once_with_its_reason() {
    let (stage, recorder) = staged(&["suspended"]).await;
    let life = boot(&stage).await;
    let edit = async |change: &dyn Fn(&mut Value), life: &EngineRun| {
        let mut document = job(&["suspended"]);
        change(&mut document);
        stage.world.edit("job", &document).await.unwrap();
        life.engine.nudge(&"job".parse().unwrap());
        tokio::time::sleep(Duration::from_secs(20)).await;
    };
    let suspend = |document: &mut Value| {
        document["suspended"] = true.into();
        document["suspension"] = json!({"reason": "the disk is full", "actor": "ann"});
    };
    edit(&suspend, &life).await;
    assert_eq!(recorder.kinds(), [NotificationKind::Suspended]);
    assert_eq!(recorder.delivered()[0].2.jobs[0].text, "the disk is full, by ann");
    let described = |document: &mut Value| {
        suspend(document);
        document["description"] = "as before".into();
    };
    edit(&described, &life).await;
    life.crash().await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:05:00Z").await;
    assert_eq!(recorder.kinds().len(), 1, "neither an edit nor a restart is a new suspension");
    edit(&|_| (), &life).await;
    edit(&suspend, &life).await;
    assert_eq!(recorder.kinds(), [NotificationKind::Suspended; 2]);
}

#[tokio::test(start_paused = true)]
async fn suspension_is_reported_after_a_crash_right_after_the_edit() {
    let (stage, recorder) = staged(&["suspended"]).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:20:10Z").await;
    let mut suspended = job(&["suspended"]);
    suspended["suspended"] = true.into();
    stage.world.edit("job", &suspended).await.unwrap();
    life.crash().await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:21:00Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Suspended]);
}

#[tokio::test(start_paused = true)]
async fn firing_with_an_unknown_result_is_reported_once() {
    let (stage, recorder) = staged(&["unknown"]).await;
    let hourly = json!({
        "taskDefinition": "job", "schedule": "0 0 *", "notify": [{"to": "ops", "on": ["unknown"]}],
    });
    stage.world.edit("job", &hourly).await.unwrap();
    stage.launcher.script.lock().push_back(Script::LoseAnswer);
    let life = boot(&stage).await;
    stage.until("2026-01-01T11:00:00.1Z").await;
    life.crash().await;
    stage.until("2026-01-01T12:30:00Z").await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T12:31:00Z").await;
    assert_eq!(recorder.kinds(), [NotificationKind::Unknown]);
    let entry = recorder.delivered()[0].2.jobs[0].clone();
    assert!(entry.firing.is_some() && entry.text.starts_with("it is not known whether firing "), "{entry:?}");
    life.crash().await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T12:40:00Z").await;
    assert_eq!(recorder.kinds().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rules_of_all_jobs_hold_for_jobs_without_their_own() {
    let mut stage = Stage::at("2026-01-01T10:00:30Z");
    let failing = NotifyCondition::Failing(std::num::NonZeroU32::MIN);
    let defaults = vec![NotifyRule { to: "dev".to_owned(), on: vec![failing] }];
    let recorder = Recorder::with_defaults(&stage.world.clock, defaults);
    stage.world.options.notifier = Some(Arc::clone(&recorder) as Arc<dyn Notifier>);
    stage.world.create("default", &json!({"taskDefinition": "job", "schedule": "0 *"})).await.unwrap();
    stage.world.create("own", &job(&["failing:1"])).await.unwrap();
    let mut nobody = job(&[]);
    nobody["notify"] = json!([]);
    stage.world.create("nobody", &nobody).await.unwrap();
    let _life = boot(&stage).await;
    deny(&stage, 3);
    stage.until("2026-01-01T10:01:30Z").await;
    let mut told: Vec<_> =
        recorder.delivered().into_iter().map(|(_, to, one)| (to, one.jobs[0].job.to_string())).collect();
    told.sort();
    assert_eq!(told, [("dev", "default"), ("ops", "own")].map(|(to, job)| (to.to_owned(), job.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn jobs_that_fail_at_once_are_reported_in_few_messages() {
    let mut stage = Stage::at("2026-01-01T10:00:30Z");
    let recorder = attach(&mut stage);
    for number in 0..500 {
        stage.world.create(&format!("job-{number}"), &job(&["failing:1"])).await.unwrap();
    }
    let life = boot(&stage).await;
    deny(&stage, 500);
    stage.until("2026-01-01T10:01:50Z").await;
    let told = recorder.delivered();
    assert!(told.len() <= 10, "{} messages", told.len());
    let mut names: Vec<_> = told.iter().flat_map(|(.., one)| &one.jobs).map(|job| job.job.clone()).collect();
    let counted: u64 = told.iter().map(|(.., one)| one.more).sum();
    names.sort();
    names.dedup();
    assert_eq!(names.len() as u64 + counted, 500);
    life.crash().await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:01:58Z").await;
    assert_eq!(recorder.delivered().len(), told.len(), "a restart tells nothing again");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_and_the_order_stays_while_a_channel_is_down_for_hours() {
    let (stage, recorder) = staged(&["failing:1", "recovered"]).await;
    recorder.set_fault("ops", Some(DeliveryFault::Fails));
    let life = boot(&stage).await;
    for (failures, until) in
        [(2, "2026-01-01T11:00:30Z"), (1, "2026-01-01T12:00:30Z"), (0, "2026-01-01T16:00:30Z")]
    {
        deny(&stage, failures);
        stage.until(until).await;
    }
    assert_eq!((recorder.kinds(), deliveries(&stage).await.pending.len()), (vec![], 4));
    assert_eq!(life.engine.status().pending_notifications, 4);
    let attempts = recorder.attempts.lock().len();
    assert!(attempts < 80, "{attempts} attempts in six hours");
    recorder.set_fault("ops", None);
    stage.until("2026-01-01T16:30:00Z").await;
    let (failing, recovered) = (NotificationKind::Failing, NotificationKind::Recovered);
    assert_eq!(recorder.kinds(), [failing, recovered, failing, recovered]);
    assert_eq!(deliveries(&stage).await, Deliveries::default());
}

#[tokio::test(start_paused = true)]
async fn notification_is_given_up_after_a_day_and_shown() {
    let (stage, recorder) = staged(&["failing:1"]).await;
    recorder.set_fault("ops", Some(DeliveryFault::Fails));
    let (log, _guard) = Log::listen();
    let life = boot(&stage).await;
    deny(&stage, 1);
    stage.until("2026-01-02T10:30:00Z").await;
    let found = deliveries(&stage).await;
    assert_eq!((found.pending.len(), found.failed.len()), (0, 1));
    let failed = &found.failed[0];
    assert_eq!(failed.error, "not delivered within 24 h: the receiver answered 500");
    assert!(failed.attempts > 90 && failed.at < "2026-01-02T10:16:30Z".parse().unwrap(), "{failed:?}");
    assert_eq!(log.with("a notification is given up").len(), 1);
    assert_eq!(log.with("a notification was not delivered").len(), 1, "one line, not one per attempt");
    let counters = life.engine.counters();
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        (load(&counters.notifications_failed), load(&counters.notifications_retried)),
        (1, u64::from(failed.attempts))
    );
}

#[tokio::test(start_paused = true)]
async fn refused_notification_is_given_up_at_once() {
    let (stage, recorder) = staged(&["failing:1"]).await;
    recorder.set_fault("ops", Some(DeliveryFault::Refuses));
    let _life = boot(&stage).await;
    deny(&stage, 1);
    stage.until("2026-01-01T10:01:30Z").await;
    let found = deliveries(&stage).await;
    assert_eq!((found.pending.len(), found.failed.len()), (0, 1));
    assert_eq!(recorder.attempts.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn hanging_channel_delays_no_other_one() {
    let (stage, recorder) = staged(&[]).await;
    let both = json!({
        "taskDefinition": "job", "schedule": "0 *",
        "notify": [{"to": "ops", "on": ["failing:1"]}, {"to": "dev", "on": ["failing:1", "recovered"]}],
    });
    stage.world.edit("job", &both).await.unwrap();
    recorder.set_fault("ops", Some(DeliveryFault::Hangs));
    let _life = boot(&stage).await;
    deny(&stage, 1);
    stage.until("2026-01-01T10:03:00Z").await;
    let told: Vec<_> = recorder.delivered().into_iter().map(|(_, to, one)| (to, one.kind)).collect();
    let dev = |kind| ("dev".to_owned(), kind);
    assert_eq!(told, [dev(NotificationKind::Failing), dev(NotificationKind::Recovered)]);
    recorder.set_fault("ops", None);
    stage.until("2026-01-01T10:20:00Z").await;
    assert_eq!(recorder.kinds().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn notification_whose_answer_is_lost_is_repeated_with_the_same_id() {
    let (stage, recorder) = staged(&["failing:1"]).await;
    recorder.set_fault("ops", Some(DeliveryFault::LosesAnswers));
    let _life = boot(&stage).await;
    deny(&stage, 1);
    stage.until("2026-01-01T10:01:30Z").await;
    recorder.set_fault("ops", None);
    stage.until("2026-01-01T10:05:00Z").await;
    let ids: Vec<_> = recorder.delivered().into_iter().map(|(.., one)| one.id).collect();
    assert!(ids.len() > 1 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn channel_gets_ten_notifications_in_ten_seconds_at_most() {
    let mut stage = Stage::at("2026-01-01T10:00:30Z");
    let recorder = attach(&mut stage);
    let mut both = job(&["failing:1"]);
    both["notify"] = json!([{"to": "ops", "on": ["failing:1", "suspended", "missed"]}]);
    recorder.set_fault("ops", Some(DeliveryFault::Fails));
    // Ten at a time are not grouped; the faulty channel collects three times as many.
    for number in 0..30 {
        let mut document = both.clone();
        document["schedule"] = format!("0 {}", number / 10 + 1).into();
        stage.world.create(&format!("job-{number}"), &document).await.unwrap();
    }
    let _life = boot(&stage).await;
    deny(&stage, 30);
    stage.until("2026-01-01T10:05:00Z").await;
    assert_eq!(deliveries(&stage).await.pending.len(), 30);
    recorder.set_fault("ops", None);
    stage.until("2026-01-01T11:00:00Z").await;
    let told: Vec<_> = recorder.delivered().into_iter().map(|(at, ..)| at).collect();
    assert_eq!(told.len(), 30);
    let attempts = recorder.attempts.lock().clone();
    for window in attempts.windows(21) {
        assert!(window[20].duration_since(window[0]) >= jiff::SignedDuration::from_secs(10), "{window:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn outbox_is_kept_while_the_store_fails() {
    let (stage, recorder) = staged(&["failing:1", "recovered"]).await;
    for seed in 0..10 {
        recorder.delivered.lock().clear();
        let life = stage.world.boot(StoreFaults { before: 0.2, after: 0.2 }, seed).await;
        let Ok(life) = life else { continue };
        deny(&stage, 1);
        tokio::time::sleep(Duration::from_secs(600)).await;
        let mut kinds = recorder.kinds();
        kinds.dedup();
        assert_eq!(kinds, [NotificationKind::Failing, NotificationKind::Recovered], "seed {seed}");
        life.crash().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_notifier_no_register_is_written() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &job(&["failing:1"])).await.unwrap();
    let _life = boot(&stage).await;
    deny(&stage, 2);
    stage.until("2026-01-01T10:30:00Z").await;
    let register = format!("notifications/{}", Shard::from_job(&JobId::new("job").unwrap()));
    assert_eq!(stage.world.store.get_register(&register).await.unwrap(), None);
}
