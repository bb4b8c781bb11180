//! Requests about backfills: start, stop, and a preview.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::drive;
use crate::backfill::{
    Backfill, BackfillError, BackfillRequest, BackfillState, ListedBackfill, MAX_UNDER_WAY, list_of,
    parse_list, register_of,
};
use crate::decide::{DecisionDraft, TickOutcome};
use crate::engine::driven_backfills::KeptBackfill;
use crate::engine::evaluate::{EvalOverrides, EvalRequest, TriggerSource};
use crate::engine::inner::EngineInner;
use crate::engine::job_cache::CachedJob;
use crate::engine::message::{BackfillOrder, Message};
use crate::id::{JobId, JobUid};
use crate::job::StoredJob;
use crate::store::{Shard, StoreError};
use crate::trigger::Tick;

/// How often a list is read and written again that another owner of the shard has written meanwhile.
const LIST_ATTEMPTS: u32 = 3;

impl EngineInner {
    /// Reads a job, and the ticks of a request.
    async fn plan_backfill(
        &self,
        id: &JobId,
        request: &BackfillRequest,
    ) -> Result<(StoredJob, CachedJob, Vec<jiff::Timestamp>), BackfillError> {
        let stored = self.store.get(std::slice::from_ref(id)).await?.pop().ok_or(BackfillError::NoJob)?;
        let cached = CachedJob {
            uid: stored.uid,
            revision: stored.revision,
            job: self.parse(&stored),
            last_fired: parking_lot::Mutex::new(None),
            last_row: parking_lot::Mutex::default(),
        };
        let job = cached.job.as_ref().map_err(|_| BackfillError::Invalid)?;
        let ticks = request.ticks(&stored, job, self.clock.now())?;
        Ok((stored, cached, ticks))
    }

    /// Starts a backfill.
    pub(in crate::engine) async fn start_backfill(
        self: &Arc<Self>,
        id: &JobId,
        request: BackfillRequest,
        commands: &mpsc::WeakSender<Message>,
    ) -> Result<Backfill, BackfillError> {
        let (stored, _, ticks) = self.plan_backfill(id, &request).await?;
        let now = self.clock.now();
        let id = request.id.clone().unwrap_or_else(|| JobUid::random().to_string());
        let backfill = Backfill::new(id, &stored, request, &ticks, now);
        let _listing = self.backfills.listing.lock().await;
        let present = self.store.get_register(&register_of(&stored.uid)).await?;
        if let Some(other) = present.as_ref().and_then(|present| Backfill::parse(&present.value))
            && other.is_under_way()
        {
            drive(self, other.job.clone(), other.uid, commands);
            return Err(BackfillError::UnderWay(Box::new(other)));
        }
        self.list(&backfill).await?;
        let version = present.map(|present| present.version);
        let written = self.write_backfill(&backfill, version).await;
        // A write without an answer may have its effect: then the driver finds it.
        drive(self, stored.id.clone(), stored.uid, commands);
        match written {
            Ok(_) => Ok(backfill),
            Err(StoreError::Conflict(_)) => match self.read_backfill(&stored.uid).await? {
                Some(other) => Err(BackfillError::UnderWay(Box::new(other.backfill))),
                None => Err(BackfillError::None),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Stops a backfill, and returns it; one that has ended stays as it is. On return, no further firing begins.
    pub(in crate::engine) async fn stop_backfill(
        self: &Arc<Self>,
        id: &JobId,
        commands: &mpsc::WeakSender<Message>,
    ) -> Result<Backfill, BackfillError> {
        let stored = self.store.get(std::slice::from_ref(id)).await?.pop().ok_or(BackfillError::NoJob)?;
        let known = self.read_backfill(&stored.uid).await?.ok_or(BackfillError::None)?;
        if known.backfill.state != BackfillState::Running {
            return Ok(known.backfill);
        }
        let driven = drive(self, id.clone(), stored.uid, commands);
        // The step under way ends first.
        let mut kept = driven.kept.lock().await;
        *kept = None;
        driven.wake.notify_one();
        let KeptBackfill { version, mut backfill } =
            self.read_backfill(&stored.uid).await?.ok_or(BackfillError::None)?;
        if backfill.state == BackfillState::Running {
            backfill.end(BackfillState::Stopped);
            backfill.close(self.clock.now());
            self.write_backfill(&backfill, Some(version)).await?;
            self.process.budgets.end_wait(self.number, id, &stored.uid);
        }
        Ok(backfill)
    }

    /// Decides about each tick of a request as a backfill would whose job has no running tasks. Also returns why a backfill would wait
    /// now, because of the brake or a suspension.
    pub(in crate::engine) async fn preview_backfill(
        &self,
        id: &JobId,
        request: &BackfillRequest,
    ) -> Result<(Vec<(jiff::Timestamp, DecisionDraft)>, Option<String>), BackfillError> {
        let (stored, loaded, ticks) = self.plan_backfill(id, request).await?;
        let Ok(job) = &loaded.job else { return Err(BackfillError::Invalid) };
        let tick = Tick::at(self.clock.now());
        let order = |nominal, is_preview| {
            let id = crate::FiringId::for_backfill(&stored.uid, nominal, "");
            BackfillOrder { uid: stored.uid, id, nominal, is_preview }
        };
        let source = |nominal, is_preview| TriggerSource::Backfill(Box::new(order(nominal, is_preview)));
        let waits = self.suspension_reason(job, tick.nominal, &source(tick.nominal, false));
        let mut drafts = Vec::with_capacity(ticks.len());
        for nominal in ticks {
            let overrides = EvalOverrides { busy: Some(0), ..EvalOverrides::default() };
            let source = source(nominal, true);
            let request = EvalRequest { job, loaded: &loaded, tick, source, overrides, tried: 0 };
            let mut draft = self.evaluate(&request).await.draft;
            if draft.outcome == TickOutcome::Pending {
                draft.outcome = TickOutcome::Launched;
            }
            drafts.push((nominal, draft));
            // Thousands of ticks must not keep a thread from other work.
            tokio::task::consume_budget().await;
        }
        Ok((drafts, waits))
    }

    /// Reads the list of a shard, and the version of its register.
    pub(super) async fn read_list(
        &self,
        shard: Shard,
    ) -> Result<(Option<u64>, Vec<ListedBackfill>), StoreError> {
        let register = self.store.get_register(&list_of(shard)).await?;
        Ok(register
            .map_or((None, Vec::new()), |register| (Some(register.version), parse_list(&register.value))))
    }

    /// Adds a backfill to the list of its shard, in the place of an earlier one of the job.
    async fn list(&self, backfill: &Backfill) -> Result<(), BackfillError> {
        let Backfill { id, job, uid, .. } = backfill;
        let listed = ListedBackfill { id: id.clone(), job: job.clone(), uid: *uid };
        let edit = |list: &mut Vec<ListedBackfill>| {
            list.retain(|known| known.uid != *uid);
            if list.len() >= MAX_UNDER_WAY {
                return Err(BackfillError::TooMany);
            }
            list.push(listed.clone());
            Ok(())
        };
        self.edit_list(Shard::from_job(job), edit).await
    }

    /// Removes the backfill of a job, which has ended, from the list; any one of the job if the register has none.
    pub(super) async fn unlist(
        &self,
        job: &JobId,
        uid: &JobUid,
        ended: Option<&str>,
    ) -> Result<(), BackfillError> {
        let edit = |list: &mut Vec<ListedBackfill>| {
            list.retain(|known| known.uid != *uid || ended.is_some_and(|id| id != known.id));
            Ok(())
        };
        self.edit_list(Shard::from_job(job), edit).await
    }

    async fn edit_list(
        &self,
        shard: Shard,
        edit: impl Fn(&mut Vec<ListedBackfill>) -> Result<(), BackfillError>,
    ) -> Result<(), BackfillError> {
        let mut attempt = 1;
        loop {
            let (version, mut list) = self.read_list(shard).await?;
            let before = list.clone();
            edit(&mut list)?;
            if list == before {
                return Ok(());
            }
            let value = serde_json::to_string(&list).expect("a list of names is plain data");
            match self.store.put_register(&list_of(shard), &value, version).await {
                Err(StoreError::Conflict(_)) if attempt < LIST_ATTEMPTS => attempt += 1,
                written => return written.map(drop).map_err(BackfillError::from),
            }
        }
    }
}
