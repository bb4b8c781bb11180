//! Connections: had from a pool, bounded in time, given back when they are sound and dropped when they are not.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts,
};
use ecs_scheduler_core::{FaultKind, StoreError};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use crate::config::Place;
use crate::error::{closed, fault, is_contention, is_lost, late, unreachable};
use crate::tls;

/// How long a caller waits for a connection that others use.
const WAIT: Duration = Duration::from_secs(5);
/// How long making a connection may take, all hosts together.
const CREATE: Duration = Duration::from_secs(10);
/// How long an answer may take; longer than the server works on a statement, so that it tells what happened.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How often a transaction is tried that others get in the way of.
pub(crate) const TRIES: usize = 8;

/// How often a read is repeated on another connection.
const REREADS: usize = 3;

/// A value that a statement is given.
pub(crate) type Param<'a> = &'a (dyn ToSql + Sync);
/// All of them.
pub(crate) type Params<'a> = &'a [Param<'a>];

/// The connections to one database.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    pool: Pool,
    name: String,
}

impl Lines {
    /// Prepares at most so many connections; none is made yet.
    pub(crate) fn new(place: &Place, most: usize) -> Result<Self, StoreError> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(place.config.clone(), tls::connector(place)?, config);
        let timeouts = Timeouts { wait: Some(WAIT), create: Some(CREATE), recycle: Some(CREATE) };
        let settings: Arc<str> = settings(&place.settings).into();
        let tell = Hook::async_fn(move |client, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        });
        let builder = Pool::builder(manager).max_size(most).timeouts(timeouts).runtime(Runtime::Tokio1);
        let pool = builder.post_create(tell).build();
        let pool = pool.map_err(|error| {
            StoreError::caused(FaultKind::Bug, "could not make the pool of connections", error)
        })?;
        Ok(Self { pool, name: place.name.clone() })
    }

    /// What the database is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether there is at most one connection.
    pub(crate) fn is_single(&self) -> bool {
        self.pool.status().max_size < 2
    }

    /// Closes all connections; those in use when they come back.
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Takes a connection.
    pub(crate) async fn take(&self, attempted: &str) -> Result<Line, StoreError> {
        if self.is_closed() {
            return Err(closed(&self.name));
        }
        let client = self.pool.get().await.map_err(|error| unreachable(attempted, &self.name, error))?;
        Ok(Line { client: Some(client), sound: false })
    }

    /// Reads rows; anew when the connection was lost, since nothing was changed: idle ones may be lost too, unseen.
    pub(crate) async fn read(
        &self,
        attempted: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut left = REREADS;
        loop {
            match self.once(attempted, sql, params).await? {
                Err(error) if (is_lost(&error) || is_contention(&error)) && left > 0 => left -= 1,
                answer => return self.word(attempted, answer),
            }
        }
    }

    /// Runs a statement that changes something; again only when the server says that it undid it.
    pub(crate) async fn write(
        &self,
        attempted: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match self.once(attempted, sql, params).await? {
                Err(error) if is_contention(&error) && left > 0 => {}
                answer => return self.word(attempted, answer),
            }
        }
    }

    fn word<T>(&self, attempted: &str, answer: Result<T, Error>) -> Result<T, StoreError> {
        answer.map_err(|error| fault(attempted, &self.name, error))
    }

    async fn once(
        &self,
        attempted: &str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Result<Vec<Row>, Error>, StoreError> {
        let line = self.take(attempted).await?;
        let answer = self.within(attempted, async {
            let statement = line.client().prepare_cached(sql).await?;
            line.client().query(&statement, params).await
        });
        let answer = answer.await?;
        if !answer.as_ref().is_err_and(is_lost) {
            line.done();
        }
        Ok(answer)
    }

    /// Waits for an answer as long as one waits.
    pub(crate) async fn within<T>(
        &self,
        attempted: &str,
        answer: impl Future<Output = T>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(PATIENCE, answer).await.map_err(|_| late(attempted, &self.name))
    }
}

/// Writes the statement that tells a new session its settings.
fn settings(settings: &[(String, String)]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let each = settings
        .iter()
        .map(|(name, value)| format!("set_config({}, {}, false)", quoted(name), quoted(value)));
    format!("SELECT {}", each.collect::<Vec<_>>().join(", "))
}

/// A connection in use. It goes back to the pool only when it is known to be sound: whoever is cancelled in the middle
/// of a transaction drops it, and the server undoes the transaction.
pub(crate) struct Line {
    client: Option<Object>,
    sound: bool,
}

impl Line {
    pub(crate) fn client(&self) -> &Object {
        self.client.as_ref().expect("the connection is there until the end")
    }

    /// Says that nothing is under way any more.
    pub(crate) fn done(mut self) {
        self.sound = true;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(client) = self.client.take().filter(|_| !self.sound) {
            drop(Object::take(client));
        }
    }
}
