//! Failed tasks and their notifications: a scheduler that ends between outcome, retry, outbox and delivery loses none
//! of them and doubles none.
//!
//! The oracles are independent of the scheduler: the file in which each task notes its start, and a receiver of webhooks in the process
//! of the test. A receiver may get a notification twice, with the same id.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ecs_scheduler_core::notify::read_deliveries;
use ecs_scheduler_core::{DecisionQuery, Firing, Origin, Store, TickOutcome};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::audit::{audit, open, open_read_only};
use super::hand_firings::{next_second, wait_for};
use super::process::Scheduler;
use super::site::{Site, until};
use super::steps;
use crate::notify::receiver::{Answer, ERROR, OK, Receiver, SECRET, verify_by_library};

const STEPS: &str =
    "crash::followed::a_crash_between_outcome_retry_outbox_and_delivery_loses_and_doubles_nothing";
/// How often a scheduler is killed while the receiver has not answered.
const LIVES: usize = 3;
/// How often failed tasks start again.
const ATTEMPTS: u32 = 2;

/// Returns the jobs: one whose tasks always fail and start again, and one that is due every second and fires no missed tick.
pub(crate) fn jobs() -> [(&'static str, Value); 2] {
    let retry = json!({"task": {"attempts": ATTEMPTS, "backoff": "0s"}});
    [
        (
            "failing",
            json!({
                "taskDefinition": "fails", "schedule": "*/3", "overlap": "allow", "maxCount": 50, "retry": retry,
                "notify": [{"to": "ops", "on": ["failing:1", "recovered", "suspended"]}],
            }),
        ),
        (
            "strict",
            json!({
                "taskDefinition": "works", "schedule": "*", "catchUp": {"policy": "none"},
                "notify": [{"to": "ops", "on": ["failing:1", "missed", "suspended"]}],
            }),
        ),
    ]
}

/// A notification as the receiver knows it: what it got twice with one id counts once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Told {
    job: String,
    kind: String,
    since: Option<String>,
}

/// Returns what a receiver got, in the order of the first requests.
fn told(receiver: &Receiver) -> Vec<Told> {
    let mut known = HashSet::new();
    let mut told = Vec::new();
    for request in receiver.received() {
        let event = request.json();
        assert_eq!(request.header("webhook-id"), event["id"].as_str());
        if !known.insert(event["id"].as_str().unwrap().to_owned()) {
            continue;
        }
        let kind = event["type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let one = |job: &Value, data: &Value| Told {
            job: job.as_str().unwrap().to_owned(),
            kind: kind.clone(),
            since: text(&data["since"]),
        };
        match event["data"]["jobs"].as_array() {
            Some(jobs) => told.extend(jobs.iter().map(|data| one(&data["job"], data))),
            None => told.push(one(&event["subject"], &event["data"])),
        }
    }
    told
}

/// Returns the notifications that the journal asks for, whatever came between: each series of missed ticks, each job that
/// fails until its end, each suspension.
async fn expected(store: &dyn Store, failing: &[&str], suspended: &[&str]) -> Vec<Told> {
    let query = DecisionQuery { outcome: Some(TickOutcome::Missed), ..DecisionQuery::default() };
    let missed = store.decisions(&query).await.unwrap();
    let missed = missed.into_iter().map(|row| Told {
        job: row.job.to_string(),
        kind: "missed".to_owned(),
        since: Some(row.draft.span.first.to_string()),
    });
    let state = |kind: &'static str| {
        move |job: &&str| Told { job: (*job).to_owned(), kind: kind.to_owned(), since: None }
    };
    missed
        .chain(failing.iter().map(state("failing")))
        .chain(suspended.iter().map(state("suspended")))
        .collect()
}

/// Counts notifications. The moment from which a job fails is not compared.
fn count(told: impl IntoIterator<Item = Told>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for Told { job, kind, since } in told {
        let since = since.filter(|_| kind == "missed").unwrap_or_default();
        *counts.entry(format!("{job} {kind} {since}")).or_default() += 1;
    }
    counts
}

/// Tells whether every notification that the journal asks for has arrived, and nothing waits any more.
pub(crate) async fn is_notified(
    store: &dyn Store,
    receiver: &Receiver,
    failing: &[&str],
    suspended: &[&str],
) -> bool {
    let told = count(told(receiver));
    let expected = count(expected(store, failing, suspended).await);
    let waiting = read_deliveries(store).await.unwrap().pending;
    waiting.is_empty() && expected.keys().all(|one| told.contains_key(one))
}

/// Checks that the receiver got each notification that the journal asks for once, that nothing was given up, and that each signature is right.
pub(crate) async fn check_notified(
    store: &dyn Store,
    receiver: &Receiver,
    failing: &[&str],
    suspended: &[&str],
) {
    assert_eq!(count(told(receiver)), count(expected(store, failing, suspended).await));
    let deliveries = read_deliveries(store).await.unwrap();
    assert_eq!((deliveries.pending, deliveries.failed), (vec![], vec![]));
    let requests = receiver.received();
    let ids = requests.iter().map(|request| format!("verified {}", request.header("webhook-id").unwrap()));
    assert_eq!(verify_by_library(SECRET, &requests).await, ids.collect::<Vec<_>>());
}

/// Checks that each firing whose tasks failed has one retry, unless it says why it has none; returns how many retries there are.
pub(crate) fn check_retries(firings: &[Firing]) -> usize {
    let by_id: HashMap<_, &Firing> = firings.iter().map(|firing| (&firing.id, firing)).collect();
    let retries: Vec<_> = firings.iter().filter(|firing| firing.origin == Origin::Retry).collect();
    let mut repeated = HashSet::new();
    for retry in &retries {
        let of = by_id[retry.retry.of.as_ref().expect("a retry names a firing")];
        assert!(repeated.insert(&of.id), "{} has two retries", of.id);
        assert_eq!(of.retry.by.as_ref(), Some(&retry.id), "{of:#?} {retry:#?}");
        assert_eq!((retry.nominal, retry.retry.number), (of.nominal, of.retry.number + 1), "{retry:#?}");
    }
    for firing in firings.iter().filter(|firing| firing.tasks.iter().any(|task| task.exit_code == Some(3))) {
        let is_last = firing.retry.number == ATTEMPTS;
        let is_suspended = firing.retry.note.as_ref().is_some_and(|note| note.starts_with("suspended"));
        assert!(is_last || is_suspended || firing.retry.by.is_some(), "its retry is lost: {firing:#?}");
    }
    retries.len()
}

/// Returns all firings of a store that has few.
async fn firings(store: &dyn Store) -> Vec<Firing> {
    let mut all: Vec<Firing> = Vec::new();
    loop {
        let before = all.last().map(|firing| firing.id.clone());
        let query = ecs_scheduler_core::FiringQuery { before, ..Default::default() };
        let page = store.firings(&query).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn site(receiver: &Receiver) -> Site {
    let mut site = Site::new();
    site.define("works", "");
    site.define("fails", "exit 3");
    site.configure(&receiver.config());
    site
}

/// Audits a site whose scheduler has ended.
async fn check(site: &Site, receiver: &Receiver) {
    let audit = audit(site).await;
    let store = open(site).await;
    let retries = check_retries(&firings(&*store).await);
    assert!(audit.firings > 4 && retries > 0, "{audit:?}, {retries} retries");
    check_notified(&*store, receiver, &["failing"], &["failing", "strict"]).await;
}

#[tokio::test]
async fn a_crash_between_outcome_retry_outbox_and_delivery_loses_and_doubles_nothing() {
    if let Some((site, last)) = steps::role() {
        return steps::play(&site, last, steps::local(&site).await).await;
    }
    let receiver = Receiver::start(OK).await;
    let site = site(&receiver);
    let store = open(&site).await;
    for (id, job) in jobs() {
        steps::create(&*store, id, &job).await;
    }
    store.close().await.unwrap();
    drop(store);
    // Some lives have a receiver that fails.
    let before = |step: usize| receiver.set(if step % 3 == 1 { ERROR } else { OK });
    steps::die_after_failures(STEPS, &site, before).await;
    receiver.set(OK);
    steps::finish_when(&site, steps::local(&site).await, async |store: Arc<dyn Store>| {
        is_notified(&*store, &receiver, &["failing"], &["failing", "strict"]).await
    })
    .await;
    check(&site, &receiver).await;
}

#[tokio::test]
async fn a_scheduler_killed_while_a_receiver_has_not_answered_sends_the_same_notification_again() {
    let receiver = Receiver::start(OK).await;
    let site = site(&receiver);
    let scheduler = Scheduler::start(&site).await;
    for (id, job) in jobs() {
        scheduler.create(id, &job).await;
    }
    scheduler.kill().await;
    for _ in 0..LIVES {
        // As long as nobody schedules, ticks are missed: the next life has something to tell.
        wait_for(next_second() + SignedDuration::from_secs(2)).await;
        receiver.set(Answer::Nothing);
        let before = receiver.count();
        let scheduler = Scheduler::start(&site).await;
        until("the receiver has a request", async || receiver.count() > before).await;
        let unanswered = receiver.received()[before].json()["id"].clone();
        scheduler.kill().await;
        receiver.set(OK);
        let before = receiver.count();
        let scheduler = Scheduler::start(&site).await;
        until("it is sent again", async || {
            receiver.received()[before..].iter().any(|request| request.json()["id"] == unanswered)
        })
        .await;
        scheduler.kill().await;
    }
    let scheduler = Scheduler::start(&site).await;
    scheduler.quiesce().await;
    until("every event has arrived", async || {
        let store = open_read_only(&site).await;
        is_notified(&*store, &receiver, &["failing"], &["failing", "strict"]).await
    })
    .await;
    scheduler.terminate().await;
    check(&site, &receiver).await;
}
