//! The steps that write the content, one after the other, so that every run writes the same.

use super::firings::{adopted_history, fire_in_each_state};
use super::jobs::{adopted_job, create_jobs, new_job};
use crate::sample::{self, at, name};
use ecs_scheduler_core::decide::{DecisionDraft, Rule, Step, TickOutcome, TickSpan};
use ecs_scheduler_core::job::StoredJob;
use ecs_scheduler_core::scaling::Demand;
use ecs_scheduler_core::store::{ImportBatch, PrunedJobs, Retention, Settled, Settlement, Store};
use ecs_scheduler_core::trigger::Observation;

/// The jobs with a history, some of which are gone.
pub(super) const HISTORIES: [&str; 7] =
    ["orders", "drainer", "nightly", "paused", "departed", "retired", "adopted"];

/// The registers; the last one expires before the content is pruned.
pub(super) const REGISTERS: [&str; 6] =
    ["brake", "idempotency/0f1e", "fleet/replica/a", "fleet/shard/07", "fleet/shard/08", "expired"];

/// The text of each register.
const VALUES: [&str; 6] = [
    r#"{"reason":"maintenance ✓","since":"2027-01-15T08:00:00Z"}"#,
    r#"{"request":"ab","uid":"00000000000000000000000000000001","begun":"2027-01-15T08:00:00Z","until":"2027-01-16T08:00:00Z","answer":{"status":201,"headers":[["location","/v1/firings/1"]],"body":"{}"}}"#,
    r#"{"id":"a","life":"1","address":"http://10.0.0.1:5000","started":"2027-01-15T08:00:00Z","beat":7}"#,
    r#"{"owner":{"id":"a","life":"1"}}"#,
    "{}",
    "old",
];

/// Writes the content to an empty store.
///
/// # Panics
///
/// Panics when the store refuses a step.
pub async fn write_content(store: &dyn Store) {
    create_jobs(store).await;
    settle_retired(store).await;
    fold_ticks(store).await;
    fire_in_each_state(store).await;
    settle_each_outcome(store).await;
    store.remove(&name("departed"), None).await.expect("the job exists");
    adopt(store).await;
    write_registers(store).await;
    prune(store).await;
}

/// Reads a job that exists.
pub(super) async fn stored(store: &dyn Store, id: &str) -> StoredJob {
    store.get(&[name(id)]).await.expect("jobs are read").pop().expect("the job exists")
}

/// Settles ticks of a job as it is stored.
pub(super) async fn settle(store: &dyn Store, id: &str, records: Vec<DecisionDraft>) {
    let settlement = sample::settlement(&stored(store, id).await, records);
    settle_all(store, settlement).await;
}

pub(super) async fn settle_all(store: &dyn Store, settlement: Settlement) {
    let settled = store.settle(vec![settlement]).await.expect("the store settles");
    assert!(matches!(settled[..], [Settled::Recorded(_)]), "no settlement of the content is stale");
}

/// A decision about one tick, with every field.
pub(super) fn draft(outcome: TickOutcome, tick: i64, rule: Rule) -> DecisionDraft {
    DecisionDraft {
        span: TickSpan { first: at(tick), last: at(tick), count: 1 },
        observed: at(tick + 1),
        outcome,
        demand: Some(Demand::from_count(12)),
        busy: Some(2),
        launch: 0,
        tries: 1,
        explanation: format!("1150 messages ÷ 100 per task → 12; ended as {outcome}"),
        steps: vec![Step { rule, before: 12, after: 0, reason: "grüße \"✓\"\n".to_owned() }],
        observations: vec![Observation::new("visible", "orders", 1150.5, "messages", at(tick))],
    }
}

/// A job that was removed and whose history is pruned in the end.
async fn settle_retired(store: &dyn Store) {
    store.create(new_job("retired", 6, "{}")).await.expect("the name is free");
    settle(store, "retired", vec![draft(TickOutcome::Idle, -900, Rule::Demand)]).await;
    store.remove(&name("retired"), None).await.expect("the job exists");
}

/// Rows that hold several ticks: equal outcomes fold, also of several settlements.
async fn fold_ticks(store: &dyn Store) {
    for tick in [10, 20, 30] {
        settle(store, "orders", vec![draft(TickOutcome::Idle, tick, Rule::Demand)]).await;
    }
    let span = TickSpan { first: at(40), last: at(90), count: 6 };
    let missed = DecisionDraft {
        span,
        demand: None,
        busy: None,
        tries: 0,
        steps: Vec::new(),
        observations: Vec::new(),
        ..draft(TickOutcome::Missed, 90, Rule::Demand)
    };
    let failing = DecisionDraft { tries: 4, ..draft(TickOutcome::SourceError, 91, Rule::Demand) };
    settle(store, "orders", vec![missed, failing]).await;
}

/// The rules of the released fixtures.
const RULES: [Rule; 8] = [
    Rule::Demand,
    Rule::Floor,
    Rule::Cap,
    Rule::Mode,
    Rule::Overlap,
    Rule::Cooldown,
    Rule::Budget,
    Rule::Need,
];

/// A row for each outcome; together they have every rule of [`RULES`] and every kind of demand.
async fn settle_each_outcome(store: &dyn Store) {
    let demands = [Demand::Idle, Demand::Floor, Demand::from_count(3)];
    for (index, outcome) in (0..).zip(TickOutcome::ALL) {
        let rule = RULES[usize::try_from(index).expect("it is small") % RULES.len()];
        let demand = demands[usize::try_from(index).expect("it is small") % demands.len()];
        let record = DecisionDraft { demand: Some(demand), ..draft(outcome, 300 + index, rule) };
        settle(store, "drainer", vec![record]).await;
    }
}

/// A job and a history that come from another store.
async fn adopt(store: &dyn Store) {
    store.import(ImportBatch::Jobs(vec![adopted_job()])).await.expect("the name is free");
    store.import(ImportBatch::History(adopted_history())).await.expect("the firings are new");
}

async fn write_registers(store: &dyn Store) {
    for (register, value) in REGISTERS.into_iter().zip(VALUES) {
        let expires = match register {
            "expired" => Some(at(-500)),
            "idempotency/0f1e" => Some(at(2_000_000_000)),
            _ => None,
        };
        store.put_register(register, value, None, expires).await.expect("the register is new");
    }
    // The brake was released and pulled again.
    let version = store.put_register("brake", "null", Some(1), None).await.expect("the version is this");
    store.put_register("brake", VALUES[0], Some(version), None).await.expect("the version is this");
}

async fn prune(store: &dyn Store) {
    let retention = Retention { before: at(-400), keep: 2, now: at(1000), batch: 100, jobs: PrunedJobs::All };
    let pruned = store.prune(retention).await.expect("the store prunes");
    assert_eq!(pruned, 2, "a decision of a removed job, and a register");
}
