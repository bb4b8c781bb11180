//! A DynamoDB that loses answers after the effect, cuts connections, throttles and crowds: nothing is lost, nothing is
//! done twice, and nobody who was alone is told of a conflict.

use std::sync::Arc;

use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_core::testing::store_suite::{Fragile, Subject};
use ecs_scheduler_core::{
    DecisionQuery, FiringQuery, FiringState, JobStore as _, Journal as _, ListFrom, Outcome, Registers as _,
    Retention, Revision, Settled, Store, StoredJob, async_trait,
};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, FaultRule, Mishap, Service};
use futures::future::join_all;
use jiff::SignedDuration;

use crate::emulator::Kind;
use crate::help::{Place, advance_of, at, aws, document, draft, firing, limit, name, new_job, settlement};
use crate::proxy::{Proxy, Tricks};

/// The tricks come by this seed.
const SEED: u64 = 20_261_123;
const TICKS: i64 = 8;

/// Every eighth answer is lost, and more goes wrong.
const ALL: Tricks = Tricks { lost: 0.12, cut: 0.05, throttled: 0.08, crowded: 0.08, closed: false };

async fn open(proxy: &Proxy, place: &Place) -> DynamoDbStore {
    DynamoDbStore::open(&aws(&proxy.url), DynamoDbOptions::new(place.table.as_str())).await.unwrap()
}

fn recorded(settled: Vec<Settled>) -> u64 {
    let [Settled::Recorded(ids)] = &settled[..] else { panic!("nobody else settles: {settled:?}") };
    ids.last().unwrap().0
}

/// Lets one job live: edits, idle ticks, firings that start a task and end.
async fn live(store: Arc<DynamoDbStore>, number: usize) {
    let id = name(&format!("job-{number}"));
    let mut job = store.create(new_job(id.as_str(), "{}")).await.unwrap();
    for revision in 1..=3 {
        let text = format!("{{\"taskCount\": {revision}}}");
        job = store.replace(&id, Revision(revision), document(&text), at(0)).await.unwrap();
    }
    for tick in 1..=TICKS {
        let fires = tick % 2 == 0;
        let outcome = if fires { Outcome::Pending } else { Outcome::Idle };
        let firing = fires.then(|| firing(&job, tick));
        let mut settlement = settlement(&job, vec![draft(Outcome::Idle, tick), draft(outcome, tick)]);
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
        let written = store.write(&register, &version.to_string(), expected, None).await.unwrap();
        assert_eq!(written, version + 1);
    }
    if number.is_multiple_of(3) {
        store.remove(&id, Some(Revision(4))).await.unwrap();
    }
}

async fn everything_is_there_once(store: &DynamoDbStore, jobs: usize) {
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
        let register = store.read(&format!("register-{number}")).await.unwrap().unwrap();
        assert_eq!((register.value.as_str(), register.version), ("2", 3));
    }
    assert!(store.unfinished().await.unwrap().is_empty());
    let all = store.decisions(&DecisionQuery::default()).await.unwrap();
    let each = usize::try_from(TICKS).unwrap();
    assert_eq!(all.len(), jobs * each, "two idle ticks fold, and a firing has a row of its own");
}

async fn nothing_is_lost_and_nothing_doubled_on(kind: Kind, jobs: usize) {
    let place = Place::on(kind);
    let proxy = Proxy::start(kind, Tricks::default(), SEED).await;
    let store = Arc::new(open(&proxy, &place).await);
    proxy.play(ALL);
    let lives = (0..jobs).map(|number| tokio::spawn(live(Arc::clone(&store), number)));
    for life in join_all(lives).await {
        life.unwrap();
    }
    let played = proxy.played();
    proxy.play(Tricks::default());
    everything_is_there_once(&store, jobs).await;
    let again = open(&proxy, &place).await;
    everything_is_there_once(&again, jobs).await;
    proxy.play(ALL);
    let mut pruned = 0;
    loop {
        match again.prune(Retention { before: at(1_000), keep: 0, now: at(1_000), batch: 25 }).await.unwrap()
        {
            0 => break,
            count => pruned += count,
        }
    }
    proxy.play(Tricks::default());
    assert!(pruned <= jobs * usize::try_from(TICKS).unwrap());
    assert!(again.decisions(&DecisionQuery::default()).await.unwrap().is_empty());
    proxy.assert_strict();
    let least = played.lost.min(played.cut).min(played.throttled).min(played.crowded);
    assert!(least >= 10, "enough went wrong: {played:?}");
}

/// Tables behind a proxy that can cut all connections.
struct Behind {
    kind: Kind,
    place: Place,
    proxy: tokio::sync::OnceCell<Proxy>,
}

impl Behind {
    fn new(kind: Kind) -> Self {
        Self { kind, place: Place::on(kind), proxy: tokio::sync::OnceCell::new() }
    }

    async fn proxy(&self) -> &Proxy {
        self.proxy.get_or_init(|| Proxy::start(self.kind, Tricks::default(), SEED)).await
    }
}

#[async_trait]
impl Subject for Behind {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(open(self.proxy().await, &self.place).await)
    }
}

#[async_trait]
impl Fragile for Behind {
    async fn cut(&self) {
        self.proxy().await.cut(true);
    }

    async fn mend(&self) {
        self.proxy().await.cut(false);
    }
}

mod on_ministack {
    use super::{Behind, Kind};

    ecs_scheduler_core::store_fault_suite!(Behind::new(Kind::Ministack));
}

mod on_dynoxide {
    use super::{Behind, Kind};

    ecs_scheduler_core::store_fault_suite!(Behind::new(Kind::Dynoxide));
}

mod on_the_fake {
    use super::{Behind, Kind};

    ecs_scheduler_core::store_fault_suite!(Behind::new(Kind::Fake));
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_doubled_where_tokens_are_known() {
    nothing_is_lost_and_nothing_doubled_on(Kind::Ministack, 12).await;
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_doubled_on_an_emulator_that_was_compared_with_aws() {
    nothing_is_lost_and_nothing_doubled_on(Kind::Dynoxide, 12).await;
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_doubled_where_tokens_are_not_known() {
    nothing_is_lost_and_nothing_doubled_on(Kind::Moto, 6).await;
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_doubled_where_everything_is_refused_that_dynamodb_refuses() {
    nothing_is_lost_and_nothing_doubled_on(Kind::Fake, 12).await;
}

/// Lets everything happen to calls that DynamoDB says may happen, and shows old states and short pages.
fn befall(fake: &Fake) {
    let mishaps = [
        (Mishap::LostAfterEffect, 0.08),
        (Mishap::ResetBeforeEffect, 0.03),
        (Mishap::ServerError { status: 500 }, 0.03),
        (Mishap::Throttled, 0.03),
        (Mishap::Exceeded, 0.03),
        (Mishap::Conflict, 0.05),
        (Mishap::InProgress, 0.03),
        (Mishap::Unprocessed, 0.2),
    ];
    for (number, (mishap, probability)) in mishaps.into_iter().enumerate() {
        let rule = FaultRule::every(Service::DynamoDb, mishap);
        fake.faults().add(rule.sometimes(probability, SEED + number as u64));
    }
    fake.configure(|settings| {
        settings.dynamodb.lag = SignedDuration::from_millis(30);
        settings.dynamodb.page_bytes = 2_000;
        settings.dynamodb.batch_bytes = 20_000;
    });
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_doubled_whatever_befalls_calls() {
    const JOBS: usize = 12;
    let fake = Fake::start(FakeOptions::default()).await.unwrap();
    let aws = aws(&fake.url());
    let store = Arc::new(DynamoDbStore::open(&aws, DynamoDbOptions::new("jobs")).await.unwrap());
    befall(&fake);
    let lives = (0..JOBS).map(|number| tokio::spawn(live(Arc::clone(&store), number)));
    for life in join_all(lives).await {
        life.unwrap();
    }
    fake.faults().clear();
    fake.configure(|settings| settings.dynamodb.lag = SignedDuration::ZERO);
    everything_is_there_once(&store, JOBS).await;
    let again = DynamoDbStore::open(&aws, DynamoDbOptions::new("jobs")).await.unwrap();
    everything_is_there_once(&again, JOBS).await;
    let played = fake.calls(Service::DynamoDb, "TransactWriteItems");
    assert!(played.lost >= 10 && played.failed >= 10, "enough went wrong: {played:?}");
}
