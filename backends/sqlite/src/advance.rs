//! Updates of firings: a firing's new state, and the job's record of its last run.

use ecs_scheduler_core::store::encoding::{to_json, to_nanos_opt};
use ecs_scheduler_core::{Advance, Firing, FiringState, StoreError};
use rusqlite::{OptionalExtension, Row, params};

use crate::codec::read_state;
use crate::error::TxError;
use crate::row_cache::CacheChange;
use crate::writer_conn::{WriterConn, cached_meta};

impl WriterConn {
    /// Advances a firing to its new state. `body` is the new state as JSON, which the caller encodes so that the writer
    /// need not.
    pub(crate) fn advance(&mut self, advance: &Advance, body: &str) -> Result<(), TxError> {
        let firing = &advance.to;
        let Some((seq, stored_state, stored_tasks)) = self.find_firing(firing)? else {
            return Err(TxError::Refused(StoreError::NotFound((&firing.id).into())));
        };
        advance.check(stored_state).map_err(TxError::Refused)?;
        let (state, tasks) = (firing.state.as_str(), firing.tasks.len());
        if let Some(outcome) = advance.outcome {
            let sql = "UPDATE journal SET state = ?2, tasks = ?3, body = ?4, outcome = ?5 WHERE seq = ?1";
            let values = params![seq, state, tasks, body, outcome.as_str()];
            self.connection.prepare_cached(sql)?.execute(values)?;
        } else {
            // A statement of its own, because SQLite rewrites the index of every column that a statement names.
            let sql = "UPDATE journal SET state = ?2, tasks = ?3, body = ?4 WHERE seq = ?1";
            self.connection.prepare_cached(sql)?.execute(params![seq, state, tasks, body])?;
        }
        if tasks > stored_tasks { self.record_run(advance) } else { Ok(()) }
    }

    /// Finds a firing's row, its state and its number of tasks: by its decision, else by its id.
    fn find_firing(&self, firing: &Firing) -> Result<Option<(i64, FiringState, usize)>, TxError> {
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, read_state(row, 1)?, row.get::<_, usize>(2)?));
        let (seq, id) = (firing.decision.0, firing.id.as_str());
        let sql = "SELECT seq, state, tasks FROM journal WHERE seq = ?1 AND firing = ?2";
        let found = self.connection.prepare_cached(sql)?.query_row(params![seq, id], read).optional()?;
        if found.is_some() {
            return Ok(found);
        }
        let sql = "SELECT seq, state, tasks FROM journal WHERE firing = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
    }

    /// Records the tasks that a firing has started in the metadata of its job, unless the job was replaced by another
    /// one of the same name.
    fn record_run(&mut self, advance: &Advance) -> Result<(), TxError> {
        let firing = &advance.to;
        let meta = cached_meta(&self.connection, &mut self.meta_cache, &firing.job)?;
        let Some(meta) = meta.filter(|meta| meta.uid == firing.uid) else { return Ok(()) };
        meta.progress.record_run(firing);
        let sql = "UPDATE marks SET last_run = ?2, last_run_tasks = ?3 WHERE no = ?1";
        let tasks = to_json(&meta.progress.last_run_tasks)?;
        self.connection.prepare_cached(sql)?.execute(params![
            meta.no,
            to_nanos_opt(meta.progress.last_run)?,
            tasks
        ])?;
        self.changes.push(CacheChange::Progressed(meta.no, meta.progress.clone()));
        Ok(())
    }
}
