//! Past ticks of a job fire in their order, beside what the job does at present.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::backfill::{self, Backfill, BackfillError, BackfillRequest, BackfillState};
use ecs_scheduler_core::{
    BuildContext, Clock as _, ConfigError, EvalContext, Evaluation, Firing, FiringState, JobId, Origin,
    TickOutcome, Timestamp, Trigger, TriggerError, TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_testing::{EngineRun, StoreFaults};
use serde_json::{Value, json};

use super::support::{Script, Stage};

/// Demands two tasks at even hours, and none at others.
#[derive(Debug)]
struct Even;

/// Reads the present.
#[derive(Debug)]
struct Measure;

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoConfig {}

#[async_trait]
impl Trigger for Even {
    fn is_time_based(&self) -> bool {
        true
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let is_even = (cx.tick.nominal.as_second() / 3_600) % 2 == 0;
        Ok(if is_even { Evaluation::tasks(2, "an even hour") } else { Evaluation::idle("an odd hour") })
    }
}

impl TriggerType for Even {
    const KIND: &'static str = "even";
    const SUMMARY: &'static str = "fires at even hours";
    type Config = NoConfig;

    fn build(&self, _: NoConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(Self))
    }
}

#[async_trait]
impl Trigger for Measure {
    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        Ok(Evaluation::idle("nothing to measure"))
    }
}

impl TriggerType for Measure {
    const KIND: &'static str = "measure";
    const SUMMARY: &'static str = "measures the present";
    type Config = NoConfig;

    fn build(&self, _: NoConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(Self))
    }
}

pub(super) fn id() -> JobId {
    JobId::new("job").unwrap()
}

pub(super) fn at(moment: &str) -> Timestamp {
    moment.parse().unwrap()
}

/// An hourly job.
pub(super) fn hourly(more: &Value) -> Value {
    let mut job = json!({"taskDefinition": "job", "schedule": "0 0 *", "maxCount": 10, "succeedsBy": "main"});
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

pub(super) async fn boot(stage: &Stage) -> EngineRun {
    stage.world.boot(StoreFaults::default(), 0).await.unwrap()
}

async fn stage_with(more: &Value) -> (Stage, EngineRun) {
    let mut registry = TriggerRegistry::new();
    registry.add(Even).unwrap();
    registry.add(Measure).unwrap();
    let stage = Stage::with("2026-01-10T00:30:00Z", registry);
    stage.world.create("job", &hourly(more)).await.unwrap();
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(0))];
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(20));
    let life = boot(&stage).await;
    (stage, life)
}

/// The hours from 0 up to this one on the first of January.
pub(super) fn hours(until: u32) -> BackfillRequest {
    BackfillRequest::new(at("2026-01-01T00:00:00Z"), at(&format!("2026-01-01T{until:02}:00:00Z")))
}

fn overlapping(until: u32, overlap: u32) -> BackfillRequest {
    let mut request = hours(until);
    request.overlap = NonZeroU32::new(overlap).unwrap();
    request
}

/// Returns the backfill as its register has it.
pub(super) async fn read(stage: &Stage) -> Backfill {
    let stored = stage.world.store.get(&[id()]).await.unwrap().remove(0);
    backfill::read(&*stage.world.store, &stored.uid).await.unwrap().expect("there is a backfill")
}

/// Returns the firings of the backfill, oldest first.
pub(super) async fn backfilled(stage: &Stage) -> Vec<Firing> {
    let firings = stage.firings("job").await;
    firings.into_iter().filter(|firing| firing.origin == Origin::Backfill).collect()
}

async fn hours_of(stage: &Stage) -> Vec<String> {
    let firings = backfilled(stage).await;
    firings.iter().map(|firing| firing.nominal.to_string()[11..13].to_owned()).collect()
}

/// Returns the greatest number of firings that were unfinished at once.
fn most_at_once(firings: &[Firing]) -> usize {
    let end = |firing: &Firing| firing.tasks.iter().filter_map(|task| task.stopped_at).max();
    let open = |moment| {
        let is_open =
            |firing: &&Firing| firing.observed <= moment && end(firing).is_none_or(|end| end > moment);
        firings.iter().filter(is_open).count()
    };
    firings.iter().map(|firing| open(firing.observed)).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn past_ticks_fire_oldest_first_and_one_after_the_other() {
    let (stage, life) = stage_with(&json!({})).await;
    let mut request = hours(5);
    (request.reason, request.actor) = (Some("lost data".to_owned()), Some("ada".to_owned()));
    let started = life.engine.start_backfill(&id(), request).await.unwrap();
    assert_eq!((started.state, started.total, started.remaining()), (BackfillState::Running, 5, 5));
    stage.until("2026-01-10T00:31:00Z").await;
    let running = read(&stage).await;
    assert_eq!((running.unfinished.len(), running.next_tick()), (1, Some(at("2026-01-01T03:00:00Z"))));
    stage.until("2026-01-10T00:40:00Z").await;
    let firings = backfilled(&stage).await;
    assert_eq!(hours_of(&stage).await, ["00", "01", "02", "03", "04"]);
    assert_eq!(most_at_once(&firings), 1);
    assert!(firings.iter().all(|firing| firing.state == FiringState::Finished));
    let scheduled: Vec<_> =
        stage.launcher.requests.lock().iter().map(|request| request.scheduled_at).collect();
    assert_eq!(scheduled, firings.iter().map(|firing| firing.nominal).collect::<Vec<_>>());
    let ended = read(&stage).await;
    assert_eq!((ended.state, ended.done.succeeded, ended.done.total()), (BackfillState::Finished, 5, 5));
    assert!(ended.ended.is_some() && ended.unfinished.is_empty());
    assert_eq!((ended.reason.as_deref(), ended.actor.as_deref()), (Some("lost data"), Some("ada")));
    let records = stage.decisions("job").await;
    assert!(records.iter().all(|record| record.draft.span.count == 0), "they are no ticks");
    assert!(records[0].draft.explanation.starts_with("backfill of 2026-01-01T00:00:00Z: due, taskCount"));
    assert!(backfill::registers(&*stage.world.store).await.unwrap().is_empty(), "the list is empty again");
    let progress = stage.world.store.get(&[id()]).await.unwrap().remove(0).progress;
    assert_eq!(progress.last_run, None, "the schedule has not run");
}

#[tokio::test(start_paused = true)]
async fn as_many_firings_are_unfinished_at_once_as_the_request_allows() {
    for overlap in [2, 3] {
        let (stage, life) = stage_with(&json!({"overlap": "topUp"})).await;
        life.engine.start_backfill(&id(), overlapping(8, overlap)).await.unwrap();
        stage.until("2026-01-10T00:50:00Z").await;
        let firings = backfilled(&stage).await;
        assert_eq!((firings.len(), most_at_once(&firings)), (8, overlap as usize));
        assert!(firings.is_sorted_by_key(|firing| firing.nominal));
    }
}

#[tokio::test(start_paused = true)]
async fn tick_waits_until_all_of_its_tasks_may_run() {
    for (more, busy) in [
        (json!({"taskCount": 2, "maxCount": 3}), "beside 2 pending or running"),
        (json!({"overlap": "skip"}), "skipped, 1 still pending"),
        (json!({"overlap": "replace"}), "skipped, 1 still pending"),
    ] {
        let (stage, life) = stage_with(&more).await;
        life.engine.fire_now(&id(), Default::default()).await.unwrap();
        life.engine.start_backfill(&id(), overlapping(3, 3)).await.unwrap();
        stage.until("2026-01-10T00:30:10Z").await;
        assert_eq!(backfilled(&stage).await.len(), 0);
        let waiting = read(&stage).await.waiting.unwrap();
        assert!(waiting.reason.contains(busy), "{waiting:?}");
        stage.until("2026-01-10T00:40:00Z").await;
        let firings = backfilled(&stage).await;
        assert_eq!((firings.len(), most_at_once(&firings)), (3, 1), "{more}");
        assert!(stage.launcher.stops.lock().is_empty(), "it replaces no tasks");
        assert_eq!(read(&stage).await.done.succeeded, 3);
        assert!(
            firings
                .iter()
                .all(|firing| u64::from(firing.requested) == more["taskCount"].as_u64().unwrap_or(1))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn stopped_backfill_starts_no_further_firing_and_running_tasks_go_on() {
    let (stage, life) = stage_with(&json!({})).await;
    life.engine.start_backfill(&id(), hours(5)).await.unwrap();
    stage.until("2026-01-10T00:30:30Z").await;
    let stopped = life.engine.stop_backfill(&id()).await.unwrap();
    assert_eq!((stopped.state, stopped.unfinished.len(), stopped.ended), (BackfillState::Stopped, 1, None));
    let before = backfilled(&stage).await.len();
    let again = life.engine.start_backfill(&id(), hours(5)).await;
    assert!(matches!(again, Err(BackfillError::UnderWay(_))), "{again:?}");
    stage.until("2026-01-10T00:40:00Z").await;
    assert_eq!(backfilled(&stage).await.len(), before);
    assert!(stage.launcher.stops.lock().is_empty());
    let ended = read(&stage).await;
    assert_eq!((ended.done.succeeded as usize, ended.state), (before, BackfillState::Stopped));
    assert_eq!(ended.remaining() as usize, 5 - before);
    assert_eq!(
        life.engine.stop_backfill(&id()).await.unwrap(),
        ended,
        "a stop has no effect on an ended one"
    );
    let next = life.engine.start_backfill(&id(), hours(5)).await.unwrap();
    assert_ne!(next.id, ended.id);
    stage.until("2026-01-10T00:50:00Z").await;
    assert_eq!(backfilled(&stage).await.len(), before + 5, "another backfill fires the same ticks again");
}

#[tokio::test(start_paused = true)]
async fn backfill_waits_during_the_brake_and_a_suspension() {
    let (stage, life) = stage_with(&json!({})).await;
    life.engine.start_backfill(&id(), hours(6)).await.unwrap();
    stage.until("2026-01-10T00:30:05Z").await;
    life.engine.brake("incident".to_owned()).await.unwrap();
    stage.until("2026-01-10T00:35:00Z").await;
    assert_eq!(backfilled(&stage).await.len(), 1);
    let waiting = read(&stage).await.waiting.unwrap();
    assert_eq!(
        (waiting.outcome, waiting.reason.as_str()),
        (TickOutcome::Suspended, "the brake is on: incident")
    );
    life.engine.release().await.unwrap();
    stage.until("2026-01-10T00:35:40Z").await;
    assert!(backfilled(&stage).await.len() > 1);
    stage.world.edit("job", &hourly(&json!({"suspended": true}))).await.unwrap();
    life.engine.nudge(&id());
    stage.until("2026-01-10T00:36:00Z").await;
    let suspended = backfilled(&stage).await.len();
    stage.until("2026-01-10T00:55:00Z").await;
    assert_eq!(backfilled(&stage).await.len(), suspended);
    assert!(suspended < 6);
    stage.world.edit("job", &hourly(&json!({}))).await.unwrap();
    life.engine.nudge(&id());
    stage.until("2026-01-10T00:59:50Z").await;
    let ended = read(&stage).await;
    assert_eq!((ended.state, ended.done.succeeded), (BackfillState::Finished, 6));
    let outcomes: Vec<_> = stage.outcomes("job").await.into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, [TickOutcome::Launched; 6], "waiting leaves no record");
}

#[tokio::test(start_paused = true)]
async fn backfill_waits_while_the_breaker_is_open_and_is_no_canary() {
    let breaker = json!({"breaker": {"failures": 1, "delay": "1s"}, "schedule": "0 0 0"});
    let (stage, life) = stage_with(&breaker).await;
    *stage.launcher.fail_to_start.lock() = Some(Duration::from_secs(5));
    let mut request = hours(1);
    request.from = at("2026-01-05T00:00:00Z");
    request.to = at("2026-01-08T00:00:00Z");
    life.engine.start_backfill(&id(), request).await.unwrap();
    stage.until("2026-01-10T00:45:00Z").await;
    let waiting = read(&stage).await;
    assert_eq!((waiting.done.failed, waiting.done.total(), waiting.remaining()), (1, 1, 2));
    let wait = waiting.waiting.unwrap();
    assert_eq!(wait.outcome, TickOutcome::Cooldown);
    assert!(wait.reason.contains("the breaker is open"), "{wait:?}");
    *stage.launcher.fail_to_start.lock() = None;
    let mended = hourly(&json!({"breaker": {"failures": 2, "delay": "1s"}, "schedule": "0 0 0"}));
    stage.world.edit("job", &mended).await.unwrap();
    life.engine.nudge(&id());
    stage.until("2026-01-10T00:55:00Z").await;
    assert_eq!(read(&stage).await.done.succeeded, 2, "an edit closes the breaker");
}

#[tokio::test(start_paused = true)]
async fn waiting_backfill_leaves_the_tries_of_ticks_alone() {
    let (stage, life) = stage_with(&json!({"overlap": "allow"})).await;
    *stage.launcher.population_fails.lock() = true;
    stage.until("2026-01-10T00:58:00Z").await;
    life.engine.start_backfill(&id(), hours(2)).await.unwrap();
    stage.until("2026-01-10T01:05:00Z").await;
    let stored = stage.world.store.get(&[id()]).await.unwrap().remove(0);
    let retrying = life.engine.retrying(&stored.uid).expect("the tick at 01:00 is tried again");
    assert_eq!(retrying.tick, at("2026-01-10T01:00:00Z"));
    assert!(retrying.tries > 5, "{retrying:?}");
    assert_eq!(read(&stage).await.waiting.unwrap().outcome, TickOutcome::LiveUnknown);
    *stage.launcher.population_fails.lock() = false;
    stage.until("2026-01-10T01:10:00Z").await;
    assert_eq!(read(&stage).await.done.succeeded, 2);
}

#[tokio::test(start_paused = true)]
async fn removed_job_ends_its_backfill() {
    let (stage, life) = stage_with(&json!({})).await;
    let uid = life.engine.start_backfill(&id(), hours(5)).await.unwrap().uid;
    stage.until("2026-01-10T00:30:05Z").await;
    stage.world.store.remove(&id(), None).await.unwrap();
    life.engine.nudge(&id());
    // Another job of the same name has no backfill.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = ecs_scheduler_core::NewJob {
        id: id(),
        uid: ecs_scheduler_core::JobUid::random(),
        document: serde_json::value::to_raw_value(&hourly(&json!({}))).unwrap(),
        at: stage.world.clock.now(),
    };
    stage.world.store.create(other).await.unwrap();
    life.engine.nudge(&id());
    stage.until("2026-01-10T00:40:00Z").await;
    let ended = backfill::read(&*stage.world.store, &uid).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.done.succeeded), (BackfillState::JobRemoved, 1));
    assert!(ended.ended.is_some());
    assert_eq!(backfilled(&stage).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn later_firings_use_the_edited_document_and_the_ticks_stay() {
    let (stage, life) = stage_with(&json!({})).await;
    life.engine.start_backfill(&id(), hours(4)).await.unwrap();
    stage.until("2026-01-10T00:30:05Z").await;
    stage.world.edit("job", &hourly(&json!({"schedule": "0 30 2", "taskCount": 3}))).await.unwrap();
    life.engine.nudge(&id());
    stage.until("2026-01-10T00:45:00Z").await;
    assert_eq!(hours_of(&stage).await, ["00", "01", "02", "03"]);
    let requested: Vec<u32> = backfilled(&stage).await.iter().map(|firing| firing.requested).collect();
    assert_eq!(requested, [1, 3, 3, 3]);
    assert_eq!(read(&stage).await.done.succeeded, 4);
}

#[tokio::test(start_paused = true)]
async fn backfill_moves_neither_the_cursor_nor_the_cooldown_nor_the_ticks() {
    let (stage, life) = stage_with(&json!({"cooldown": "50m", "overlap": "allow"})).await;
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(100));
    stage.until("2026-01-10T00:58:00Z").await;
    life.engine.start_backfill(&id(), hours(4)).await.unwrap();
    stage.until("2026-01-10T02:30:00Z").await;
    let firings = stage.firings("job").await;
    let ticks: Vec<_> =
        firings.iter().filter(|firing| firing.origin == Origin::Tick).map(|tick| tick.nominal).collect();
    assert_eq!(ticks, [at("2026-01-10T01:00:00Z"), at("2026-01-10T02:00:00Z")]);
    assert_eq!(backfilled(&stage).await.len(), 4, "the cooldown of a tick does not hold them back");
    let stored = stage.world.store.get(&[id()]).await.unwrap().remove(0);
    assert_eq!(stored.progress.settled, Some(at("2026-01-10T02:00:00Z")));
    assert_eq!(stored.progress.last_run, Some(at("2026-01-10T02:00:00Z")));
    let ticks: u64 = stage.outcomes("job").await.iter().map(|(_, count)| count).sum();
    assert_eq!(ticks, 2);
}

#[tokio::test(start_paused = true)]
async fn backfill_waits_for_the_retries_of_its_failed_tasks() {
    let retry = json!({"retry": {"task": {"attempts": 1, "backoff": "50m"}}});
    let (stage, life) = stage_with(&retry).await;
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(1))];
    life.engine.start_backfill(&id(), hours(2)).await.unwrap();
    stage.until("2026-01-10T00:31:00Z").await;
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(0))];
    stage.until("2026-01-10T01:05:00Z").await;
    assert_eq!(backfilled(&stage).await.len(), 1, "the tick at 01:00 does not end the retry");
    stage.until("2026-01-10T01:40:00Z").await;
    let firings = stage.firings("job").await;
    let retry = firings.iter().find(|firing| firing.origin == Origin::Retry).expect("a retry");
    assert_eq!((retry.nominal, retry.is_of_backfill()), (at("2026-01-01T00:00:00Z"), true));
    assert_eq!(hours_of(&stage).await, ["00", "01"]);
    assert!(backfilled(&stage).await[1].observed > retry.observed);
    assert_eq!(read(&stage).await.done.succeeded, 2);
}

#[tokio::test(start_paused = true)]
async fn ends_are_counted_by_their_outcome() {
    let (stage, life) = stage_with(&json!({"trigger": {"type": "even"}})).await;
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 0, retryable: false });
    life.engine.start_backfill(&id(), hours(6)).await.unwrap();
    stage.until("2026-01-10T00:30:10Z").await;
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(3))];
    stage.until("2026-01-10T00:30:30Z").await;
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(0))];
    stage.until("2026-01-10T00:40:00Z").await;
    let done = read(&stage).await.done;
    let counts = (done.not_launched, done.failed, done.succeeded, done.idle, done.stopped, done.unknown);
    assert_eq!(counts, (1, 1, 1, 3, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn preview_shows_the_decisions_that_the_backfill_then_makes() {
    for more in [json!({"taskCount": 3}), json!({"trigger": {"type": "even"}, "maxCount": 1})] {
        let (stage, life) = stage_with(&more).await;
        life.engine.fire_now(&id(), Default::default()).await.unwrap();
        let (previewed, waits) = life.engine.preview_backfill(&id(), &hours(5)).await.unwrap();
        assert_eq!((previewed.len(), waits), (5, None));
        assert_eq!(stage.decisions("job").await.len(), 1, "it records nothing");
        life.engine.start_backfill(&id(), hours(5)).await.unwrap();
        stage.until("2026-01-10T00:45:00Z").await;
        let made = stage.decisions("job").await.split_off(1);
        let key = |draft: &ecs_scheduler_core::DecisionDraft| {
            (draft.outcome, draft.launch, draft.explanation.clone())
        };
        let made: Vec<_> = made.iter().map(|record| key(&record.draft)).collect();
        assert_eq!(previewed.iter().map(|(_, draft)| key(draft)).collect::<Vec<_>>(), made);
    }
}

#[tokio::test(start_paused = true)]
async fn preview_says_why_the_backfill_would_wait_now() {
    let (_stage, life) = stage_with(&json!({"suspended": true})).await;
    let (ticks, waits) = life.engine.preview_backfill(&id(), &hours(2)).await.unwrap();
    assert_eq!(waits.as_deref(), Some("suspended"));
    assert!(ticks.iter().all(|(_, draft)| draft.outcome == TickOutcome::Launched));
}

#[tokio::test(start_paused = true)]
async fn ticks_of_a_day_with_a_change_of_the_clock_are_those_of_the_schedule() {
    let day = |more: Value| hourly(&json!({"schedule": more, "timezone": "Europe/Berlin"}));
    for (schedule, expected) in [("0 30 2", 1), ("0 30 *", 23)] {
        let stage = Stage::at("2026-05-01T00:00:00Z");
        stage.world.create("job", &day(json!(schedule))).await.unwrap();
        let life = boot(&stage).await;
        let request = BackfillRequest::new(at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z"));
        let started = life.engine.start_backfill(&id(), request).await.unwrap();
        assert_eq!(started.total, expected, "{schedule}");
        stage.until("2026-05-01T00:20:00Z").await;
        let nominal: Vec<_> = backfilled(&stage).await.iter().map(|firing| firing.nominal).collect();
        assert_eq!(nominal.len(), expected as usize);
        assert!(nominal.contains(&at("2026-03-29T01:30:00Z")), "02:30 does not exist that day: {nominal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_requests_are_refused_with_the_field_and_the_remedy() {
    let (stage, life) = stage_with(&json!({})).await;
    let refusals = async |request: BackfillRequest| match life.engine.start_backfill(&id(), request).await {
        Err(BackfillError::Refused(fields)) => fields,
        other => panic!("{other:?}"),
    };
    let refusal = async |request: BackfillRequest| {
        let mut fields = refusals(request).await;
        assert_eq!(fields.len(), 1, "{fields:?}");
        let field = fields.remove(0);
        (field.pointer, field.message)
    };
    let range = |from: &str, to: &str| BackfillRequest::new(at(from), at(to));
    let (january, february) = ("2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z");
    let mut greedy = hours(2);
    greedy.max = 10_001;
    for (request, pointer, part) in [
        (range("1969-12-31T23:00:00Z", january), "/from", "Before 1970"),
        (range(january, "2026-01-10T00:30:01Z"), "/to", "Later than now"),
        (range(january, january), "/to", "Must be later than `from`"),
        (range("2026-01-01T00:00:01Z", "2026-01-01T01:00:00Z"), "/from", "no tick"),
        (range(january, february), "/max", "has 168 ticks, and 100 are allowed"),
        (range("1970-01-01T00:00:00Z", february), "/max", "more than 100100 ticks"),
        (greedy, "/max", "between 1 and 10000"),
        (overlapping(2, 101), "/overlap", "between 1 and 100"),
    ] {
        let (at, message) = refusal(request).await;
        assert_eq!(at, pointer, "{message}");
        assert!(message.contains(part), "{message}");
    }
    assert!(refusal(range(january, february)).await.1.contains("right after 2026-01-05T03:00:00Z"));
    let mut all_wrong = range("1969-12-31T23:00:00Z", "2026-01-10T00:30:01Z");
    (all_wrong.max, all_wrong.overlap) = (0, NonZeroU32::new(101).unwrap());
    let pointers: Vec<_> = refusals(all_wrong).await.iter().map(|field| field.pointer).collect();
    assert_eq!(pointers, ["/from", "/to", "/max", "/overlap"], "each wrong field is named");
    stage.world.edit("job", &hourly(&json!({"trigger": {"type": "measure"}}))).await.unwrap();
    let (_, message) = refusal(hours(2)).await;
    assert!(message.contains("trigger \"measure\" measures the present"), "{message}");
    let unknown = life.engine.start_backfill(&JobId::new("none").unwrap(), hours(2)).await;
    assert!(matches!(unknown, Err(BackfillError::NoJob)));
    assert!(matches!(life.engine.stop_backfill(&id()).await, Err(BackfillError::None)));
    assert_eq!(stage.decisions("job").await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn backfill_waits_while_the_edited_trigger_measures_the_present() {
    let (stage, life) = stage_with(&json!({})).await;
    life.engine.start_backfill(&id(), hours(3)).await.unwrap();
    stage.until("2026-01-10T00:30:05Z").await;
    stage.world.edit("job", &hourly(&json!({"trigger": {"type": "measure"}}))).await.unwrap();
    life.engine.nudge(&id());
    stage.until("2026-01-10T00:40:00Z").await;
    let waiting = read(&stage).await;
    assert!(waiting.waiting.unwrap().reason.contains("measures the present"));
    assert_eq!(waiting.done.succeeded, 1);
}
