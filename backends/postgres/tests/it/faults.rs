//! Broken connections, slow servers and damaged rows.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::{
    FaultKind, JobStore, Journal, Registers, Settled, Settlement, Store, StoreError, StoredJob, TickOutcome,
    Timestamp, async_trait,
};
use ecs_scheduler_test_support::{ProxyMode, TcpProxy};
use ecs_scheduler_testing::sample::{self, at, name};
use ecs_scheduler_testing::store_suite::{FaultyConnection, StoreFixture};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::fixture::{TestSchema, connect, new_job};
use crate::server::{in_schema, server, unique_name};

/// A schema behind a proxy.
pub(crate) struct ProxiedSchema {
    name: String,
    proxy: OnceCell<TcpProxy>,
}

impl ProxiedSchema {
    pub(crate) fn new() -> Self {
        Self { name: unique_name(), proxy: OnceCell::new() }
    }

    pub(crate) async fn proxy(&self) -> &TcpProxy {
        self.proxy.get_or_init(|| TcpProxy::start(server().port)).await
    }

    pub(crate) async fn store(&self, options: PostgresOptions) -> PostgresStore {
        let port = self.proxy().await.port();
        let url = server().url().replace(&server().port.to_string(), &port.to_string());
        PostgresStore::open(&in_schema(&url, &self.name), options).await.expect("the store opens")
    }
}

#[async_trait]
impl StoreFixture for ProxiedSchema {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store(PostgresOptions::default()).await)
    }
}

#[async_trait]
impl FaultyConnection for ProxiedSchema {
    async fn cut(&self) {
        self.proxy().await.set(ProxyMode::Cut);
    }

    async fn mend(&self) {
        self.proxy().await.set(ProxyMode::Open);
    }
}

ecs_scheduler_testing::store_fault_suite!(ProxiedSchema::new());

#[tokio::test]
async fn batch_of_a_thousand_settlements_takes_a_few_round_trips() {
    let schema = ProxiedSchema::new();
    let store = schema.store(PostgresOptions::default()).await;
    let creations = (0..1_000).map(|number| store.create(new_job(&format!("job-{number}"))));
    let jobs = futures::future::try_join_all(creations).await.expect("jobs are stored");
    let mut round_trips = Vec::new();
    for tick in 1..=3 {
        let before = schema.proxy().await.round_trips();
        let batch = jobs.iter().map(|job| idle(job, tick)).collect();
        let settled = store.settle(batch).await.expect("the store settles");
        assert!(settled.iter().all(|settled| *settled != Settled::Stale));
        round_trips.push(schema.proxy().await.round_trips() - before);
    }
    // Two by design; the proxy forwards a long message in pieces, and the server may answer the first piece already.
    assert!(round_trips[2] <= 12, "{round_trips:?}");
}

/// Makes a settlement of one idle tick.
fn idle(job: &StoredJob, tick: i64) -> Settlement {
    let settlement = sample::settlement(job, vec![sample::draft(TickOutcome::Idle, at(tick))]);
    Settlement { expected_cursor: (tick > 1).then(|| at(tick - 1)), ..settlement }
}

#[tokio::test]
async fn blocked_statement_is_cancelled_in_time_and_reported() {
    let schema = TestSchema::new();
    drop(schema.store().await);
    let url = format!("{}%20-c%20statement_timeout%3D200", schema.url());
    let store = PostgresStore::open(&url, PostgresOptions::default()).await.expect("the store opens");
    store.create(new_job("held")).await.expect("a job is stored");
    let raw = schema.raw_client().await;
    raw.batch_execute("BEGIN; SELECT FROM ecss_jobs WHERE id = 'held' FOR UPDATE")
        .await
        .expect("the row is locked");
    let error = store.remove(&name("held"), None).await.expect_err("the row is locked");
    assert!(error.is_transient() && error.to_string().contains("took too long"), "{error:?}");
    raw.batch_execute("ROLLBACK").await.expect("the row is unlocked");
    store.remove(&name("held"), None).await.expect("the row is unlocked");
}

#[tokio::test]
async fn connections_that_the_server_closes_are_replaced() {
    let schema = TestSchema::new();
    let url = format!("{}&application_name={}", schema.url(), schema.name);
    let store = PostgresStore::open(&url, PostgresOptions::default()).await.expect("the store opens");
    store.create(new_job("a")).await.expect("a job is stored");
    // Waits for the ends of the connections.
    let sql =
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = $1";
    let closed = connect(&server().url()).await.query_one(sql, &[&schema.name]).await;
    assert!(closed.expect("the connections are closed").get::<_, i64>(0) > 0, "the store has connections");
    assert_eq!(store.get(&[name("a")]).await.expect("jobs are read").len(), 1);
    store.create(new_job("b")).await.expect("a job is stored");
}

#[tokio::test]
async fn idle_connections_that_a_firewall_dropped_delay_calls_by_a_second_once() {
    let schema = ProxiedSchema::new();
    let options = PostgresOptions { unchecked: Duration::ZERO, ..PostgresOptions::default() };
    let store = schema.store(options).await;
    let jobs: Vec<_> = (0..20).map(|number| name(&format!("job-{number}"))).collect();
    let reads = jobs.iter().map(|job| store.get(std::slice::from_ref(job)));
    futures::future::try_join_all(reads).await.expect("jobs are read");
    let proxy = schema.proxy().await;
    let before = proxy.connections();
    assert!(before >= 4, "several connections are idle: {before}");
    proxy.forget_connections();
    let began = Instant::now();
    store.create(new_job("after")).await.expect("a job is stored");
    assert_eq!(store.get(&[name("after")]).await.expect("jobs are read").len(), 1);
    store.put_register("brake", "on", None, None).await.expect("a register is stored");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}: each connection is found broken by itself");
    assert!(proxy.connections() > before, "new connections take their place");
}

#[test]
fn idle_connections_are_checked_before_a_firewall_drops_them() {
    assert!(PostgresOptions::default().unchecked < Duration::from_secs(60));
}

#[tokio::test]
async fn transaction_aborted_by_contention_is_retried() {
    let schema = TestSchema::new();
    let store = schema.store().await;
    // A rollback does not undo the numbers of a sequence.
    schema
        .execute(
            "CREATE SEQUENCE tries; CREATE FUNCTION contend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('tries') < 4 THEN RAISE 'in the way' USING ERRCODE = 'serialization_failure'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER contend BEFORE INSERT ON ecss_registers FOR EACH ROW EXECUTE FUNCTION contend()",
        )
        .await;
    store.put_register("register", "0", None, None).await.expect("the fourth try succeeds");
}

#[tokio::test]
async fn damaged_row_is_named_with_the_remedy() {
    let schema = TestSchema::new();
    let store = schema.store().await;
    store.create(new_job("good")).await.expect("a job is stored");
    store.create(new_job("bad")).await.expect("a job is stored");
    schema.execute("UPDATE ecss_jobs SET last_run_tasks = '\"no list\"' WHERE id = 'bad'").await;
    let error = store.get(&[name("bad")]).await.expect_err("the row is damaged");
    assert!(matches!(error, StoreError::Fault { kind: FaultKind::Config, .. }), "{error:?}");
    assert!(error.to_string().contains("job \"bad\"") && error.to_string().contains("backup"), "{error}");
    assert_eq!(store.get(&[name("good")]).await.expect("jobs are read").len(), 1);
}

#[tokio::test]
async fn missing_table_is_reported_with_the_remedy() {
    let schema = TestSchema::new();
    let store = schema.store().await;
    schema.execute("DROP TABLE ecss_registers").await;
    let error = store.get_register("brake").await.expect_err("the table is missing");
    assert!(!error.is_transient() && error.to_string().contains("ecss_"), "{error:?}");
}

#[tokio::test]
async fn timestamp_out_of_range_is_refused_and_harms_no_other_call() {
    let schema = TestSchema::new();
    let store = schema.store().await;
    let mut job = new_job("late");
    job.at = Timestamp::MAX;
    let error = store.create(job).await.expect_err("the timestamp is out of range");
    assert!(!error.is_transient() && error.to_string().contains("2261"), "{error:?}");
    store.create(new_job("late")).await.expect("the name is free");
}

#[tokio::test]
async fn cancelled_callers_leave_no_transaction_open() {
    let schema = TestSchema::new();
    let options = PostgresOptions { connections: std::num::NonZeroUsize::MIN, ..PostgresOptions::default() };
    let store = Arc::new(PostgresStore::open(&schema.url(), options).await.expect("the store opens"));
    for number in 0..30 {
        let store = Arc::clone(&store);
        let caller = tokio::spawn(async move { store.create(new_job(&format!("job-{number}"))).await });
        tokio::task::yield_now().await;
        caller.abort();
        let _ = caller.await;
    }
    store.create(new_job("last")).await.expect("the only connection is available");
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND query LIKE $1";
    let left = schema.raw_client().await.query_one(waiting, &[&format!("%{}%", schema.name)]).await;
    assert_eq!(left.expect("the server answers").get::<_, i64>(0), 0);
}

#[tokio::test]
async fn process_frozen_during_a_settlement_blocks_others_for_five_seconds() {
    let schema = ProxiedSchema::new();
    let frozen = Arc::new(
        schema
            .store(PostgresOptions { connections: std::num::NonZeroUsize::MIN, ..PostgresOptions::default() })
            .await,
    );
    let url = server().url_of(&schema.name);
    let other = PostgresStore::open(&url, PostgresOptions::default()).await.expect("the store opens");
    let (a, b) = (frozen.create(new_job("a")).await, other.create(new_job("b")).await);
    let (a, b) = (a.expect("a job is stored"), b.expect("a job is stored"));
    // The first settlement of each connection prepares its statements.
    frozen.settle(vec![idle(&a, 1)]).await.expect("the store settles");
    other.settle(vec![idle(&b, 1)]).await.expect("the store settles");
    schema.proxy().await.set(ProxyMode::AnswersHeld);
    let hanging = tokio::spawn(async move { frozen.settle(vec![idle(&a, 2)]).await });
    let raw = connect(&url).await;
    let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.state = \
                   'idle in transaction' AND l.relation = 'ecss_jobs'::regclass";
    let began = Instant::now();
    while raw.query_one(waiting, &[]).await.expect("the server answers").get::<_, i64>(0) == 0 {
        assert!(began.elapsed() < Duration::from_secs(4), "the process hangs in a transaction");
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    other.settle(vec![idle(&b, 2)]).await.expect("the store settles");
    let (blocked, at_least, at_most) =
        (began.elapsed(), Duration::from_millis(500), Duration::from_millis(8_500));
    assert!(at_least < blocked && blocked < at_most, "{blocked:?}");
    hanging.abort();
}
