//! A real PgBouncer between the store and the server.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::{FaultKind, JobId, JobStore, Registers as _, StoreError, StoreMaintenance as _};
use ecs_scheduler_test_support::free_port;
use tempfile::TempDir;

use crate::fixture::{TestSchema, new_job, open_error};
use crate::server::{PASSWORD, server, unprivileged};

/// Runs PgBouncer until its standard input is closed.
const SCRIPT: &str = r#"pool=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
"$pool" "$1" 2>&1 & read -r _; kill "$!"; wait"#;

/// A PgBouncer in front of the server of this process.
struct PgBouncer {
    port: u16,
    _folder: TempDir,
    /// Dropping this stops PgBouncer.
    _supervisor: Child,
}

impl PgBouncer {
    /// Starts PgBouncer with these settings and otherwise its defaults.
    fn start(settings: &str) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a folder is created");
        let config = folder.path().join("pool.ini");
        let database = format!("host=127.0.0.1 port={} user=scheduler password='{PASSWORD}'", server().port);
        let text = format!(
            "[databases]\npostgres = {database}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = any\nunix_socket_dir =\n{settings}\n"
        );
        std::fs::write(&config, text).expect("the file is written");
        let readable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), readable).expect("the permissions are set");
        let mut supervisor = unprivileged()
            .args(["-c", SCRIPT, "pool"])
            .arg(&config)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let mut lines = BufReader::new(supervisor.stdout.take().expect("it is piped")).lines();
        let pool = Self { port, _folder: folder, _supervisor: supervisor };
        let mut log = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            log.push_str(&line);
            log.push('\n');
            if line.contains("process up") {
                std::thread::spawn(move || lines.for_each(drop));
                return pool;
            }
        }
        panic!("PgBouncer does not start; run scripts/postgres.sh, which installs one:\n{log}");
    }

    async fn open(&self, schema: &TestSchema, more: &str) -> Result<PostgresStore, StoreError> {
        let url = schema.url().replace(&format!(":{}/", server().port), &format!(":{}/", self.port));
        PostgresStore::open(&format!("{url}{more}"), PostgresOptions::default()).await
    }
}

#[tokio::test]
async fn pooler_that_keeps_sessions_works_with_its_defaults() {
    let (pool, schema) = (PgBouncer::start("pool_mode = session"), TestSchema::new());
    let store = pool.open(&schema, "%20-c%20statement_timeout%3D200").await.expect("the store opens");
    store.create(new_job("held")).await.expect("a job is stored");
    store.health_check().await.expect("the store can be written");
    let raw = schema.raw_client().await;
    let lock = "BEGIN; SELECT FROM ecss_jobs WHERE id = 'held' FOR UPDATE";
    raw.batch_execute(lock).await.expect("the row is locked, in the schema that the options name");
    let id = JobId::new("held").expect("the name is valid");
    let error = store.remove(&id, None).await.expect_err("the row is locked");
    assert!(error.to_string().contains("took too long"), "the session has its settings: {error:?}");
    raw.batch_execute("ROLLBACK").await.expect("the row is unlocked");
    store.remove(&id, None).await.expect("the row is unlocked");
}

#[tokio::test]
async fn pooler_that_gives_each_transaction_another_session_is_refused() {
    for more in ["", "default_pool_size = 2", "server_round_robin = 1"] {
        let pool = PgBouncer::start(&format!("pool_mode = transaction\n{more}"));
        let opened = pool.open(&TestSchema::new(), "").await;
        assert!(
            matches!(opened, Err(StoreError::Fault { kind: FaultKind::Config, .. })),
            "{more}: {opened:?}"
        );
        let message = open_error(opened);
        assert!(message.contains("each transaction another session"), "{more}: {message}");
        assert!(message.contains("pool_mode = session"), "{more}: {message}");
    }
}

#[tokio::test]
async fn transactions_are_read_committed_despite_another_default() {
    let schema = TestSchema::new();
    drop(schema.store().await);
    schema
        .execute(
            "CREATE FUNCTION strict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF current_setting('transaction_isolation') <> 'read committed' THEN RAISE 'another level'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER strict BEFORE INSERT ON ecss_registers FOR EACH ROW EXECUTE FUNCTION strict()",
        )
        .await;
    let url = format!("{}%20-c%20default_transaction_isolation%3Dserializable", schema.url());
    let store = PostgresStore::open(&url, PostgresOptions::default()).await.expect("the store opens");
    store.put_register("register", "0", None, None).await.expect("the transaction is read committed");
}
