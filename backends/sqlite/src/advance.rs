//! Moving firings.

use ecs_scheduler_core::{Advance, Firing, FiringState, StoreError};
use rusqlite::{OptionalExtension, Row, params};

use crate::codec::{self, json, maybe_nanos};
use crate::error::Failure;
use crate::row_cache::Change;
use crate::writer_conn::{Desk, find};

impl Desk {
    /// Moves a firing; `body` is its new state as JSON, which the caller made so that the writer need not.
    pub(crate) fn advance(&mut self, advance: &Advance, body: &str) -> Result<(), Failure> {
        let firing = &advance.to;
        let Some((seq, state, tasks)) = self.stored(firing)? else {
            return Err(Failure::Refused(StoreError::NotFound(format!("firing \"{}\"", firing.id))));
        };
        advance.check(state).map_err(Failure::Refused)?;
        let (state, tasks_now) = (firing.state.as_str(), firing.tasks.len());
        if let Some(outcome) = advance.outcome {
            let sql = "UPDATE journal SET state = ?2, tasks = ?3, body = ?4, outcome = ?5 WHERE seq = ?1";
            let values = params![seq, state, tasks_now, body, outcome.as_str()];
            self.connection.prepare_cached(sql)?.execute(values)?;
        } else {
            // Not the statement above with the outcome as it is: naming the column would rewrite its index.
            let sql = "UPDATE journal SET state = ?2, tasks = ?3, body = ?4 WHERE seq = ?1";
            self.connection.prepare_cached(sql)?.execute(params![seq, state, tasks_now, body])?;
        }
        if firing.tasks.len() > tasks { self.note_run(advance) } else { Ok(()) }
    }

    /// Finds a firing's row, its state and how many tasks it has: by its decision, else by its name.
    fn stored(&self, firing: &Firing) -> Result<Option<(i64, FiringState, usize)>, Failure> {
        let read =
            |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, codec::state(row, 1)?, row.get::<_, usize>(2)?));
        let (seq, id) = (firing.decision.0, firing.id.as_str());
        let sql = "SELECT seq, state, tasks FROM journal WHERE seq = ?1 AND firing = ?2";
        let found = self.connection.prepare_cached(sql)?.query_row(params![seq, id], read).optional()?;
        if found.is_some() {
            return Ok(found);
        }
        let sql = "SELECT seq, state, tasks FROM journal WHERE firing = ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
    }

    /// Notes the tasks that a firing has started with its job, if that is still the same.
    fn note_run(&mut self, advance: &Advance) -> Result<(), Failure> {
        let firing = &advance.to;
        let mark = find(&self.connection, &mut self.marks, &firing.job)?;
        let Some(mark) = mark.filter(|mark| mark.uid == firing.uid) else { return Ok(()) };
        mark.progress.note_run(firing);
        let sql = "UPDATE marks SET last_run = ?2, last_run_tasks = ?3 WHERE no = ?1";
        let tasks = json(&mark.progress.last_run_tasks)?;
        self.connection.prepare_cached(sql)?.execute(params![
            mark.no,
            maybe_nanos(mark.progress.last_run)?,
            tasks
        ])?;
        self.changes.push(Change::Progressed(mark.no, mark.progress.clone()));
        Ok(())
    }
}
