//! The connection pool: every wait has a timeout, and a connection whose state is unknown is closed instead of reused.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, RecyclingMethod, Runtime, Timeouts,
};
use ecs_scheduler_core::{FaultKind, StoreError};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use crate::config::ConnectionConfig;
use crate::error::{database_error, is_contention, is_lost, pool_error, store_closed, timed_out};
use crate::tls;

/// How long a caller waits for a connection that others use.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long making a connection may take, all hosts together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take; longer than the server's `statement_timeout`, so that the server's error comes first.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection that was idle may take to prove that it works: a firewall may have dropped it silently.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// How many times a transaction is attempted when other transactions abort it.
pub(crate) const MAX_ATTEMPTS: usize = 8;
/// How often a read is repeated on another connection.
const MAX_READ_RETRIES: usize = 3;

/// A parameter of a statement.
pub(crate) type Param<'a> = &'a (dyn ToSql + Sync);
/// All parameters of a statement.
pub(crate) type Params<'a> = &'a [Param<'a>];

/// The pool of connections to one database.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    connections: deadpool_postgres::Pool,
    name: String,
}

impl Pool {
    /// Prepares a pool of at most `max_size` connections; none is made yet. A connection is checked before it is used again if that was
    /// longer ago than `unchecked`.
    pub(crate) fn new(
        database: &ConnectionConfig,
        max_size: usize,
        unchecked: Duration,
    ) -> Result<Self, StoreError> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(database.config.clone(), tls::connector(database)?, config);
        let timeouts = Timeouts {
            wait: Some(ACQUIRE_TIMEOUT),
            create: Some(CONNECT_TIMEOUT),
            recycle: Some(CONNECT_TIMEOUT),
        };
        let settings: Arc<str> = set_statement(&database.settings).into();
        let configure_session = Hook::async_fn(move |client, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        });
        let builder = deadpool_postgres::Pool::builder(manager)
            .max_size(max_size)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1);
        let check = IdleCheck { unchecked, broken_since: Mutex::new(None) };
        let builder = builder.post_create(configure_session).pre_recycle(check.into_hook());
        let connections = builder.build().map_err(|error| {
            StoreError::with_source(FaultKind::Bug, "could not make the connection pool", error)
        })?;
        Ok(Self { connections, name: database.name.clone() })
    }

    /// Returns the database's name for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether the pool holds at most one connection.
    pub(crate) fn is_single(&self) -> bool {
        self.connections.status().max_size < 2
    }

    /// Closes all connections; a connection in use is closed when it is returned.
    pub(crate) fn close(&self) {
        self.connections.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.connections.is_closed()
    }

    /// Acquires a connection.
    pub(crate) async fn acquire(&self, action: &str) -> Result<PooledConn, StoreError> {
        if self.is_closed() {
            return Err(store_closed(&self.name));
        }
        let client = self.connections.get().await.map_err(|error| pool_error(action, &self.name, error))?;
        Ok(PooledConn { client: Some(client), is_clean: false })
    }

    /// Reads rows. The read is repeated when the connection was lost: an idle connection may be dead unnoticed, and a
    /// read changes nothing.
    pub(crate) async fn read(
        &self,
        action: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut left = MAX_READ_RETRIES;
        loop {
            match self.query_once(action, sql, params).await? {
                Err(error) if (is_lost(&error) || is_contention(&error)) && left > 0 => left -= 1,
                answer => return self.map_error(action, answer),
            }
        }
    }

    /// Runs a statement that writes. It is retried only when the server says that it rolled the statement back.
    pub(crate) async fn write(
        &self,
        action: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut left = MAX_ATTEMPTS;
        loop {
            left -= 1;
            match self.query_once(action, sql, params).await? {
                Err(error) if is_contention(&error) && left > 0 => {}
                answer => return self.map_error(action, answer),
            }
        }
    }

    /// Rolls back a transaction that the server failed; returns its error unless it may be attempted again.
    pub(crate) async fn roll_back(
        &self,
        conn: PooledConn,
        error: Error,
        attempts_left: usize,
    ) -> Result<(), StoreError> {
        if !is_lost(&error) && conn.client().batch_execute("ROLLBACK").await.is_ok() {
            conn.mark_clean();
        }
        if is_contention(&error) && attempts_left > 0 {
            Ok(())
        } else {
            self.map_error("write to", Err(error))
        }
    }

    fn map_error<T>(&self, action: &str, answer: Result<T, Error>) -> Result<T, StoreError> {
        answer.map_err(|error| database_error(action, &self.name, error))
    }

    async fn query_once(
        &self,
        action: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Result<Vec<Row>, Error>, StoreError> {
        let conn = self.acquire(action).await?;
        let answer = self.with_timeout(action, async {
            let statement = conn.client().prepare_cached(sql).await?;
            conn.client().query(&statement, params).await
        });
        let answer = answer.await?;
        if !answer.as_ref().is_err_and(is_lost) {
            conn.mark_clean();
        }
        Ok(answer)
    }

    /// Waits for an answer for at most [`RESPONSE_TIMEOUT`].
    pub(crate) async fn with_timeout<T>(
        &self,
        action: &str,
        answer: impl Future<Output = T>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(RESPONSE_TIMEOUT, answer).await.map_err(|_| timed_out(action, &self.name))
    }
}

/// Finds connections that broke unnoticed while they were idle. A call would learn of it after [`RESPONSE_TIMEOUT`] only.
struct IdleCheck {
    unchecked: Duration,
    /// When a connection was last found broken: the others that were idle then probably broke with it.
    broken_since: Mutex<Option<Instant>>,
}

impl IdleCheck {
    fn into_hook(self) -> Hook {
        let check = Arc::new(self);
        Hook::async_fn(move |client, metrics| {
            let (check, idle) = (Arc::clone(&check), metrics.last_used());
            Box::pin(async move { check.run(client, idle).await })
        })
    }

    async fn run(&self, client: &ClientWrapper, idle: Duration) -> Result<(), HookError> {
        if idle < self.unchecked {
            return Ok(());
        }
        if self.broken_since.lock().is_some_and(|broken| broken.elapsed() < idle) {
            return Err(HookError::message("another connection broke meanwhile"));
        }
        let answer = tokio::time::timeout(CHECK_TIMEOUT, client.simple_query("")).await;
        if matches!(answer, Ok(Ok(_))) {
            return Ok(());
        }
        *self.broken_since.lock() = Some(Instant::now());
        Err(HookError::message("the connection broke while it was idle"))
    }
}

/// Builds the statement that sets the settings of a new session.
fn set_statement(settings: &[(String, String)]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let each = settings
        .iter()
        .map(|(name, value)| format!("set_config({}, {}, false)", quoted(name), quoted(value)));
    format!("SELECT {}", each.collect::<Vec<_>>().join(", "))
}

/// A connection in use. It returns to the pool only after [`mark_clean`](Self::mark_clean): a caller that is cancelled in
/// the middle of a transaction drops the connection, and the server rolls the transaction back.
pub(crate) struct PooledConn {
    client: Option<Object>,
    is_clean: bool,
}

impl PooledConn {
    pub(crate) fn client(&self) -> &Object {
        self.client.as_ref().expect("the connection is there until it is dropped")
    }

    /// Returns the connection to the pool: no transaction is open on it.
    pub(crate) fn mark_clean(mut self) {
        self.is_clean = true;
    }
}

impl Drop for PooledConn {
    fn drop(&mut self) {
        if let Some(client) = self.client.take().filter(|_| !self.is_clean) {
            drop(Object::take(client));
        }
    }
}
