//! Connections that break, servers that are slow, rows that are damaged.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::testing::store_suite::{FaultyConnection, Subject};
use ecs_scheduler_core::{
    DecisionDraft, FaultKind, JobId, JobStore, Journal, Outcome, Registers, Settled, Settlement, Store,
    StoreError, StoredJob, TickSpan, Timestamp, async_trait,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fixture::{Place, connect, new_job};
use crate::server::{fresh_schema, in_schema, server};

/// A proxy in front of the server that can break what passes through it.
pub(crate) struct Proxy {
    schema: String,
    /// Counts how often connections were cut, and tells whether new ones are let through.
    open: watch::Sender<(u64, bool)>,
    port: tokio::sync::OnceCell<u16>,
    /// How often the server began to speak after the client had.
    turns: Arc<AtomicUsize>,
    /// From the server's next answer on nothing is passed on any more, as if the client were frozen.
    hangs: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let (open, _) = watch::channel((0, true));
        Self {
            schema: fresh_schema(),
            open,
            port: tokio::sync::OnceCell::new(),
            turns: Arc::default(),
            hangs: Arc::default(),
        }
    }

    async fn start(&self) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (open, turns, hangs) = (self.open.subscribe(), Arc::clone(&self.turns), Arc::clone(&self.hangs));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if open.borrow().1 {
                    tokio::spawn(pass(client, open.clone(), Arc::clone(&turns), Arc::clone(&hangs)));
                }
            }
        });
        port
    }

    pub(crate) async fn store(&self, options: PostgresOptions) -> PostgresStore {
        let port = *self.port.get_or_init(|| self.start()).await;
        let url = server().url().replace(&server().port.to_string(), &port.to_string());
        PostgresStore::open(&in_schema(&url, &self.schema), options).await.expect("the store opens")
    }
}

/// Passes bytes on in both directions until the connection ends or is cut.
async fn pass(
    mut client: TcpStream,
    mut open: watch::Receiver<(u64, bool)>,
    turns: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
) {
    let (cuts, _) = *open.borrow_and_update();
    let mut server =
        TcpStream::connect((Ipv4Addr::LOCALHOST, server().port)).await.expect("the server is there");
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut waits = false;
    loop {
        let passed = tokio::select! {
            read = client.read(&mut asked) => {
                waits = true;
                let read = read.unwrap_or(0);
                read > 0 && server.write_all(&asked[..read]).await.is_ok()
            }
            read = server.read(&mut answered) => {
                turns.fetch_add(usize::from(std::mem::take(&mut waits)), Ordering::Relaxed);
                let read = read.unwrap_or(0);
                if hangs.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                read > 0 && client.write_all(&answered[..read]).await.is_ok()
            }
            () = async { drop(open.wait_for(|(now, _)| *now > cuts).await) } => false,
        };
        if !passed {
            return;
        }
    }
}

#[async_trait]
impl Subject for Proxy {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store(PostgresOptions::default()).await)
    }
}

#[async_trait]
impl FaultyConnection for Proxy {
    async fn cut(&self) {
        self.open.send_modify(|(cuts, open)| {
            *cuts += 1;
            *open = false;
        });
    }

    async fn mend(&self) {
        self.open.send_modify(|(_, open)| *open = true);
    }
}

ecs_scheduler_core::store_fault_suite!(Proxy::new());

#[tokio::test]
async fn a_batch_of_a_thousand_settlements_makes_a_handful_of_round_trips() {
    let proxy = Proxy::new();
    let store = proxy.store(PostgresOptions::default()).await;
    let creations = (0..1_000).map(|number| store.create(new_job(&format!("job-{number}"))));
    let jobs = futures::future::try_join_all(creations).await.expect("jobs are stored");
    let mut turns = Vec::new();
    for tick in 1..=3 {
        let before = proxy.turns.load(Ordering::Relaxed);
        let batch = jobs.iter().map(|job| idle(job, tick)).collect();
        let settled = store.settle(batch).await.expect("the store settles");
        assert!(settled.iter().all(|settled| *settled != Settled::Stale));
        turns.push(proxy.turns.load(Ordering::Relaxed) - before);
    }
    // Two by design; long messages are passed on in pieces, to the first of which the server may answer already.
    assert!(turns[2] <= 12, "{turns:?}");
}

/// Says that nothing was to be done at a tick.
fn idle(job: &StoredJob, tick: i64) -> Settlement {
    let at = |second| Timestamp::constant(second, 0);
    let draft = DecisionDraft {
        span: TickSpan { first: at(tick), last: at(tick), count: 1 },
        observed: at(tick),
        outcome: Outcome::Idle,
        demand: None,
        busy: None,
        launch: 0,
        tries: 1,
        explanation: "nothing to do".to_owned(),
        steps: Vec::new(),
        observations: Vec::new(),
    };
    Settlement {
        job: job.id.clone(),
        uid: job.uid,
        revision: job.revision,
        expected: (tick > 1).then(|| at(tick - 1)),
        settled: Some(at(tick)),
        records: vec![draft],
        firing: None,
    }
}

fn name(id: &str) -> JobId {
    JobId::new(id).expect("the name is sound")
}

#[tokio::test]
async fn a_statement_that_is_held_up_ends_in_time_and_says_so() {
    let place = Place::new();
    drop(place.store().await);
    let url = format!("{}%20-c%20statement_timeout%3D200", place.url());
    let store = PostgresStore::open(&url, PostgresOptions::default()).await.expect("the store opens");
    store.create(new_job("held")).await.expect("a job is stored");
    let beside = place.beside().await;
    beside
        .batch_execute("BEGIN; SELECT FROM ecss_jobs WHERE id = 'held' FOR UPDATE")
        .await
        .expect("it is locked");
    let error = store.remove(&name("held"), None).await.expect_err("it is locked");
    assert!(error.is_transient() && error.to_string().contains("took too long"), "{error:?}");
    beside.batch_execute("ROLLBACK").await.expect("it is free");
    store.remove(&name("held"), None).await.expect("it is free");
}

#[tokio::test]
async fn a_server_that_ends_our_connections_is_used_again() {
    let place = Place::new();
    let store = place.store().await;
    store.create(new_job("a")).await.expect("a job is stored");
    let beside = connect(&server().url()).await;
    let path = format!("search_path={}", place.schema);
    let ours = beside.query_one("SELECT pg_backend_pid()", &[]).await.expect("it answers");
    let ours: i32 = ours.get(0);
    // The store's connections are told apart by the table that they used last.
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'ecs-scheduler' AND pid <> $1 AND query LIKE '%' || $2 || '%'";
    store.write(&path, "mark", None, None).await.expect("it is new");
    let _ = beside.query_one(sql, &[&ours, &"ecss_registers"]).await.expect("they are ended");
    assert_eq!(store.get(&[name("a")]).await.expect("jobs are read").len(), 1);
    store.create(new_job("b")).await.expect("a job is stored");
}

#[tokio::test]
async fn a_transaction_that_others_get_in_the_way_of_is_tried_again() {
    let place = Place::new();
    let store = place.store().await;
    // Numbers of a sequence are not taken back with the transaction.
    place
        .change(
            "CREATE SEQUENCE tries; CREATE FUNCTION contend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('tries') < 4 THEN RAISE 'in the way' USING ERRCODE = 'serialization_failure'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER contend BEFORE INSERT ON ecss_registers FOR EACH ROW EXECUTE FUNCTION contend()",
        )
        .await;
    store.write("register", "0", None, None).await.expect("the fourth try succeeds");
}

#[tokio::test]
async fn a_damaged_row_is_named_with_the_remedy() {
    let place = Place::new();
    let store = place.store().await;
    store.create(new_job("sound")).await.expect("a job is stored");
    store.create(new_job("bad")).await.expect("a job is stored");
    place.change("UPDATE ecss_jobs SET last_run_tasks = '\"no list\"' WHERE id = 'bad'").await;
    let error = store.get(&[name("bad")]).await.expect_err("the row is damaged");
    assert!(matches!(error, StoreError::Fault { kind: FaultKind::Config, .. }), "{error:?}");
    assert!(error.to_string().contains("job \"bad\"") && error.to_string().contains("backup"), "{error}");
    assert_eq!(store.get(&[name("sound")]).await.expect("jobs are read").len(), 1);
}

#[tokio::test]
async fn a_table_that_vanished_is_told_with_the_remedy() {
    let place = Place::new();
    let store = place.store().await;
    place.change("DROP TABLE ecss_registers").await;
    let error = store.read("brake").await.expect_err("the table is gone");
    assert!(!error.is_transient() && error.to_string().contains("ecss_"), "{error:?}");
}

#[tokio::test]
async fn a_moment_that_cannot_be_kept_is_refused_and_harms_nobody_else() {
    let place = Place::new();
    let store = place.store().await;
    let mut job = new_job("late");
    job.at = Timestamp::MAX;
    let error = store.create(job).await.expect_err("the moment is too late");
    assert!(!error.is_transient() && error.to_string().contains("2261"), "{error:?}");
    store.create(new_job("late")).await.expect("the name is free");
}

#[tokio::test]
async fn callers_that_go_away_in_the_middle_leave_no_transaction_open() {
    let place = Place::new();
    let options = PostgresOptions { connections: std::num::NonZeroUsize::MIN };
    let store = Arc::new(PostgresStore::open(&place.url(), options).await.expect("the store opens"));
    for number in 0..30 {
        let store = Arc::clone(&store);
        let caller = tokio::spawn(async move { store.create(new_job(&format!("job-{number}"))).await });
        tokio::task::yield_now().await;
        caller.abort();
        let _ = caller.await;
    }
    store.create(new_job("last")).await.expect("the one connection is to be had");
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND query LIKE $1";
    let left = place.beside().await.query_one(waiting, &[&format!("%{}%", place.schema)]).await;
    assert_eq!(left.expect("it answers").get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_process_that_freezes_in_the_middle_of_a_settlement_holds_up_others_for_five_seconds() {
    let proxy = Proxy::new();
    let frozen = Arc::new(proxy.store(PostgresOptions { connections: std::num::NonZeroUsize::MIN }).await);
    let url = server().url_of(&proxy.schema);
    let other = PostgresStore::open(&url, PostgresOptions::default()).await.expect("the store opens");
    let (a, b) = (frozen.create(new_job("a")).await, other.create(new_job("b")).await);
    let (a, b) = (a.expect("a job is stored"), b.expect("a job is stored"));
    // What a connection prepares at its first settlement is prepared.
    frozen.settle(vec![idle(&a, 1)]).await.expect("the store settles");
    other.settle(vec![idle(&b, 1)]).await.expect("the store settles");
    proxy.hangs.store(true, Ordering::Relaxed);
    let hanging = tokio::spawn(async move { frozen.settle(vec![idle(&a, 2)]).await });
    let beside = connect(&url).await;
    let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.state = \
                   'idle in transaction' AND l.relation = 'ecss_jobs'::regclass";
    let began = Instant::now();
    while beside.query_one(waiting, &[]).await.expect("it answers").get::<_, i64>(0) == 0 {
        assert!(began.elapsed() < Duration::from_secs(4), "it hangs in a transaction");
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    other.settle(vec![idle(&b, 2)]).await.expect("the store settles");
    let (held_up, at_least, at_most) =
        (began.elapsed(), Duration::from_millis(500), Duration::from_millis(8_500));
    assert!(at_least < held_up && held_up < at_most, "{held_up:?}");
    hanging.abort();
}
