//! Opening a store: connects, checks the server and prepares the tables.

use std::num::NonZeroUsize;
use std::time::Duration;

use ecs_scheduler_core::StoreError;

use crate::config::ConnectionConfig;
use crate::pool::Pool;
use crate::schema::{self, MissingTables};
use crate::session;
use crate::store::PostgresStore;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The maximum number of connections, 8 by default. All settlements share one of them.
    pub connections: NonZeroUsize,
    /// A connection is checked before a call uses it if it was used longer ago, 5 s by default.
    pub unchecked: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: NonZeroUsize::new(8).expect("8 is not zero"), unchecked: Duration::from_secs(5) }
    }
}

impl PostgresStore {
    /// Connects to the database at `url` and creates missing tables.
    ///
    /// # Errors
    ///
    /// Fails, with the database's name and the remedy, when the database cannot be reached or denies access, when a
    /// permission is missing, or when its tables are of a newer layout.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        connect(url, &options, MissingTables::Create).await
    }

    /// Connects to a database that has the tables already.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and with [`FaultKind::NotFound`](ecs_scheduler_core::FaultKind::NotFound) when there are
    /// no tables.
    pub async fn open_read_only(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        connect(url, &options, MissingTables::Refuse).await
    }
}

async fn connect(
    url: &str,
    options: &PostgresOptions,
    missing: MissingTables,
) -> Result<PostgresStore, StoreError> {
    let pool = Pool::new(&ConnectionConfig::parse(url)?, options.connections.get(), options.unchecked)?;
    session::check_sessions(&pool).await?;
    schema::prepare(&pool, missing).await?;
    pool.health_check().await?;
    Ok(PostgresStore::new(pool))
}
