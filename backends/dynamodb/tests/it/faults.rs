//! A DynamoDB that loses answers after the effect, cuts connections, throttles and reports conflicts: no write is lost or
//! duplicated, and a single writer receives no conflict.

use std::sync::Arc;

use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_core::{
    DecisionQuery, FiringQuery, FiringState, JobStore as _, Journal as _, ListFrom, PrunedJobs,
    Registers as _, Retention, Revision, Settled, Store, StoreMaintenance as _, StoredJob, TickOutcome,
    async_trait,
};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, FaultRule, InjectedFault, Service};
use ecs_scheduler_testing::store_suite::{FaultyConnection, StoreFixture};
use futures::future::join_all;
use jiff::SignedDuration;

use crate::emulator::EmulatorKind;
use crate::help::{
    TestTables, advance_of, at, aws, document, draft, firing, limit, name, new_job, settlement,
};
use crate::proxy::{FaultRates, Proxy};

/// The seed of the faults.
const SEED: u64 = 20_261_123;
const TICKS: i64 = 8;

/// Every eighth answer is lost, and the other faults occur too.
const ALL_FAULTS: FaultRates =
    FaultRates { lost: 0.12, cut: 0.05, throttled: 0.08, conflict: 0.08, closed: false };

async fn open(proxy: &Proxy, tables: &TestTables) -> DynamoDbStore {
    DynamoDbStore::open(&aws(&proxy.url), DynamoDbOptions::new(tables.table.as_str())).await.unwrap()
}

fn recorded(settled: Vec<Settled>) -> u64 {
    let [Settled::Recorded(ids)] = &settled[..] else { panic!("no other writer settles: {settled:?}") };
    ids.last().unwrap().0
}

/// Runs one job: edits, idle ticks, and firings that start a task and finish.
async fn run_job(store: Arc<DynamoDbStore>, number: usize) {
    let id = name(&format!("job-{number}"));
    let mut job = store.create(new_job(id.as_str(), "{}")).await.unwrap();
    for revision in 1..=3 {
        let text = format!("{{\"taskCount\": {revision}}}");
        job = store.replace(&id, Revision(revision), document(&text), at(0)).await.unwrap();
    }
    for tick in 1..=TICKS {
        let fires = tick % 2 == 0;
        let outcome = if fires { TickOutcome::Pending } else { TickOutcome::Idle };
        let firing = fires.then(|| firing(&job, tick));
        let mut settlement = settlement(&job, vec![draft(TickOutcome::Idle, tick), draft(outcome, tick)]);
        settlement.firing.clone_from(&firing);
        let decision = recorded(store.settle(vec![settlement]).await.unwrap());
        job.progress.settled = Some(at(tick));
        let Some(mut firing) = firing else { continue };
        firing.decision = ecs_scheduler_core::DecisionId(decision);
        for (state, tasks) in
            [(FiringState::Launching, 0), (FiringState::Launched, 1), (FiringState::Finished, 1)]
        {
            let advance = advance_of(&firing, state, tasks);
            firing = advance.to.clone();
            store.advance(advance).await.unwrap();
        }
    }
    let register = format!("register-{number}");
    for version in 0..3 {
        let expected = Some(version).filter(|version| *version > 0);
        let written = store.put_register(&register, &version.to_string(), expected, None).await.unwrap();
        assert_eq!(written, version + 1);
    }
    if number.is_multiple_of(3) {
        store.remove(&id, Some(Revision(4))).await.unwrap();
    }
}

async fn assert_complete(store: &DynamoDbStore, jobs: usize) {
    let list = store.list(ListFrom::Skip(0), limit(100)).await.unwrap();
    assert_eq!((list.jobs.len(), list.total), (jobs - jobs.div_ceil(3), (jobs - jobs.div_ceil(3)) as u64));
    for StoredJob { revision, document, progress, .. } in &list.jobs {
        assert_eq!((*revision, document.get()), (Revision(4), "{\"taskCount\": 3}"));
        assert_eq!((progress.settled, progress.last_run), (Some(at(TICKS)), Some(at(TICKS))));
    }
    for number in 0..jobs {
        let job = Some(name(&format!("job-{number}")));
        let rows =
            store.decisions(&DecisionQuery { job: job.clone(), ..DecisionQuery::default() }).await.unwrap();
        let ticks: u64 = rows.iter().map(|row| row.draft.span.count).sum();
        assert_eq!(ticks, 2 * TICKS.unsigned_abs(), "job-{number}: {rows:#?}");
        let firings = store.firings(&FiringQuery { job, ..FiringQuery::default() }).await.unwrap();
        assert_eq!(firings.len(), usize::try_from(TICKS / 2).unwrap());
        assert!(
            firings.iter().all(|firing| firing.state == FiringState::Finished && firing.tasks.len() == 1)
        );
        let register = store.get_register(&format!("register-{number}")).await.unwrap().unwrap();
        assert_eq!((register.value.as_str(), register.version), ("2", 3));
    }
    assert!(store.open_firings().await.unwrap().is_empty());
    let all = store.decisions(&DecisionQuery::default()).await.unwrap();
    let each = usize::try_from(TICKS).unwrap();
    assert_eq!(all.len(), jobs * each, "two idle ticks fold, and each firing has a row");
}

async fn run_with_faults_on(kind: EmulatorKind, jobs: usize) {
    let tables = TestTables::on(kind);
    let proxy = Proxy::start(kind, FaultRates::default(), SEED).await;
    let store = Arc::new(open(&proxy, &tables).await);
    proxy.set_rates(ALL_FAULTS);
    let lives = (0..jobs).map(|number| tokio::spawn(run_job(Arc::clone(&store), number)));
    for life in join_all(lives).await {
        life.unwrap();
    }
    let injected = proxy.injected_faults();
    proxy.set_rates(FaultRates::default());
    assert_complete(&store, jobs).await;
    let again = open(&proxy, &tables).await;
    assert_complete(&again, jobs).await;
    proxy.set_rates(ALL_FAULTS);
    let mut pruned = 0;
    loop {
        match again
            .prune(Retention { before: at(1_000), keep: 0, now: at(1_000), batch: 25, jobs: PrunedJobs::All })
            .await
            .unwrap()
        {
            0 => break,
            count => pruned += count,
        }
    }
    proxy.set_rates(FaultRates::default());
    assert!(pruned <= jobs * usize::try_from(TICKS).unwrap());
    assert!(again.decisions(&DecisionQuery::default()).await.unwrap().is_empty());
    proxy.assert_strict();
    let least = injected.lost.min(injected.cut).min(injected.throttled).min(injected.conflict);
    assert!(least >= 5, "there were enough faults: {injected:?}");
}

/// Tables behind a proxy that can cut all connections.
struct ProxiedTables {
    kind: EmulatorKind,
    tables: TestTables,
    proxy: tokio::sync::OnceCell<Proxy>,
}

impl ProxiedTables {
    fn new(kind: EmulatorKind) -> Self {
        Self { kind, tables: TestTables::on(kind), proxy: tokio::sync::OnceCell::new() }
    }

    async fn proxy(&self) -> &Proxy {
        self.proxy.get_or_init(|| Proxy::start(self.kind, FaultRates::default(), SEED)).await
    }
}

#[async_trait]
impl StoreFixture for ProxiedTables {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(open(self.proxy().await, &self.tables).await)
    }
}

#[async_trait]
impl FaultyConnection for ProxiedTables {
    async fn cut(&self) {
        self.proxy().await.cut(true);
    }

    async fn mend(&self) {
        self.proxy().await.cut(false);
    }
}

mod on_ministack {
    use super::{EmulatorKind, ProxiedTables};

    ecs_scheduler_testing::store_fault_suite!(ProxiedTables::new(EmulatorKind::Ministack));
}

mod on_dynoxide {
    use super::{EmulatorKind, ProxiedTables};

    ecs_scheduler_testing::store_fault_suite!(ProxiedTables::new(EmulatorKind::Dynoxide));
}

mod on_the_fake {
    use super::{EmulatorKind, ProxiedTables};

    ecs_scheduler_testing::store_fault_suite!(ProxiedTables::new(EmulatorKind::Fake));
}

#[tokio::test]
async fn no_write_is_lost_or_duplicated_where_tokens_are_supported() {
    run_with_faults_on(EmulatorKind::Ministack, 12).await;
}

#[tokio::test]
async fn no_write_is_lost_or_duplicated_on_an_emulator_that_was_compared_with_aws() {
    run_with_faults_on(EmulatorKind::Dynoxide, 12).await;
}

#[tokio::test]
async fn no_write_is_lost_or_duplicated_where_tokens_are_ignored() {
    run_with_faults_on(EmulatorKind::Moto, 6).await;
}

#[tokio::test]
async fn no_write_is_lost_or_duplicated_on_the_strict_fake() {
    run_with_faults_on(EmulatorKind::Fake, 12).await;
}

/// Injects every fault that DynamoDB documents, stale indexes and short pages.
fn inject_faults_into(fake: &Fake) {
    let injected = [
        (InjectedFault::LostAfterEffect, 0.08),
        (InjectedFault::ResetBeforeEffect, 0.03),
        (InjectedFault::ServerError { status: 500 }, 0.03),
        (InjectedFault::Throttled, 0.03),
        (InjectedFault::Exceeded, 0.03),
        (InjectedFault::Conflict, 0.05),
        (InjectedFault::InProgress, 0.03),
        (InjectedFault::Unprocessed, 0.2),
    ];
    for (number, (fault, probability)) in injected.into_iter().enumerate() {
        let rule = FaultRule::every(Service::DynamoDb, fault);
        fake.faults().add(rule.sometimes(probability, SEED + number as u64));
    }
    fake.configure(|settings| {
        settings.dynamodb.lag = SignedDuration::from_millis(30);
        settings.dynamodb.page_bytes = 2_000;
        settings.dynamodb.batch_bytes = 20_000;
    });
}

#[tokio::test]
async fn no_write_is_lost_or_duplicated_under_all_faults_of_the_fake() {
    const JOBS: usize = 12;
    let fake = Fake::start(FakeOptions::default()).await.unwrap();
    let aws = aws(&fake.url());
    let store = Arc::new(DynamoDbStore::open(&aws, DynamoDbOptions::new("jobs")).await.unwrap());
    inject_faults_into(&fake);
    let lives = (0..JOBS).map(|number| tokio::spawn(run_job(Arc::clone(&store), number)));
    for life in join_all(lives).await {
        life.unwrap();
    }
    fake.faults().clear();
    fake.configure(|settings| settings.dynamodb.lag = SignedDuration::ZERO);
    assert_complete(&store, JOBS).await;
    let again = DynamoDbStore::open(&aws, DynamoDbOptions::new("jobs")).await.unwrap();
    assert_complete(&again, JOBS).await;
    let injected = fake.calls(Service::DynamoDb, "TransactWriteItems");
    assert!(injected.lost >= 10 && injected.failed >= 10, "there were enough faults: {injected:?}");
}
