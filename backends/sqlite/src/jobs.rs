//! Creating, replacing and removing jobs.

use ecs_scheduler_core::{JobId, NewJob, Progress, Revision, StoreError, StoredJob, Timestamp};
use rusqlite::params;
use serde_json::value::RawValue;

use crate::codec::{Mark, nanos};
use crate::error::Failure;
use crate::row_cache::Change;
use crate::writer_conn::{Desk, find};

impl Desk {
    pub(crate) fn create(&mut self, new: &NewJob) -> Result<StoredJob, Failure> {
        let at = nanos(new.at).map_err(Failure::Refused)?;
        let id = new.id.as_str();
        if self.connection.prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?.exists([id])? {
            return Err(Failure::Refused(StoreError::Exists(new.id.clone())));
        }
        let no = self.counters.no + 1;
        let sql = "INSERT OR REPLACE INTO marks(no, id, uid, created, changed, head) \
             VALUES (?1, ?2, ?3, ?4, ?4, coalesce((SELECT head FROM departed WHERE id = ?2), 0)) RETURNING head";
        let values = params![no, id, new.uid.as_uuid().as_bytes(), at];
        let head = self.connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
        let sql = "INSERT INTO jobs(rowid, id, data) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![no, id, new.document.get()])?;
        self.counters.no = no;
        let mark = Mark {
            no,
            uid: new.uid,
            revision: Revision::FIRST,
            created: new.at,
            changed: new.at,
            head,
            folds: None,
            progress: Progress::default(),
        };
        let job = mark.with(new.id.clone(), new.document.clone());
        self.marks.put(new.id.clone(), mark);
        self.changes.push(Change::Created(no, job.clone()));
        Ok(job)
    }

    pub(crate) fn replace(
        &mut self,
        id: &JobId,
        expected: Revision,
        document: &RawValue,
        at: Timestamp,
    ) -> Result<StoredJob, Failure> {
        let changed = nanos(at).map_err(Failure::Refused)?;
        let mark = of_revision(find(&self.connection, &mut self.marks, id)?, id, Some(expected))?;
        let sql = "UPDATE jobs SET data = ?2 WHERE rowid = ?1";
        self.connection.prepare_cached(sql)?.execute(params![mark.no, document.get()])?;
        mark.revision = expected.next();
        mark.changed = at;
        let sql = "UPDATE marks SET revision = ?2, changed = ?3 WHERE no = ?1";
        self.connection.prepare_cached(sql)?.execute(params![mark.no, mark.revision.0, changed])?;
        let job = mark.with(id.clone(), document.to_owned());
        self.changes.push(Change::Replaced(mark.no, job.clone()));
        Ok(job)
    }

    pub(crate) fn remove(&mut self, id: &JobId, expected: Option<Revision>) -> Result<(), Failure> {
        let no = of_revision(find(&self.connection, &mut self.marks, id)?, id, expected)?.no;
        self.connection.prepare_cached("DELETE FROM jobs WHERE rowid = ?1")?.execute([no])?;
        self.marks.pop(id);
        self.changes.push(Change::Removed(no));
        Ok(())
    }
}

fn of_revision<'m>(
    mark: Option<&'m mut Mark>,
    id: &JobId,
    expected: Option<Revision>,
) -> Result<&'m mut Mark, Failure> {
    match mark {
        None => Err(Failure::Refused(StoreError::NotFound(format!("job \"{id}\"")))),
        Some(mark) if expected.is_some_and(|expected| expected != mark.revision) => {
            Err(Failure::Refused(StoreError::Conflict(format!("job \"{id}\""))))
        }
        Some(mark) => Ok(mark),
    }
}
