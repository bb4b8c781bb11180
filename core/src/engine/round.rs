//! A round: the evaluations of all jobs that are due at one moment.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hashbrown::HashMap;
use jiff::Timestamp;

use super::agenda::{Entry, Place};
use super::catch_up::Ticks;
use super::evaluate::{Asker, Judgement, Question, blank};
use super::handle::{FireError, FireOrder, Given};
use super::inner::Core;
use super::job_cache::Loaded;
use super::retry::Retrying;
use super::scheduler_loop::{self, Reports};
use super::settle::{Considered, Progressed};
use crate::decide::{DecisionDraft, Outcome, TickSpan};
use crate::job::{Job, JobId, JobUid, Revision};
use crate::store::Settlement;
use crate::trigger::Tick;

#[cfg(all(test, feature = "testing"))]
mod tests;

/// How long the jobs of a round wait for each other.
const PATIENCE: Duration = Duration::from_millis(50);

/// A job that is to be looked at, as the keeper knows it.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) place: Place,
    pub(super) id: JobId,
    pub(super) uid: JobUid,
    pub(super) revision: Revision,
    pub(super) settled: Option<Timestamp>,
    pub(super) after: Timestamp,
    /// A firing by hand instead of a tick.
    pub(super) order: Option<FireOrder>,
}

impl Due {
    pub(super) fn of(place: Place, entry: &Entry, order: Option<FireOrder>) -> Self {
        Self {
            place,
            id: entry.id.clone(),
            uid: entry.uid,
            revision: entry.revision,
            settled: entry.settled,
            after: entry.after(),
            order,
        }
    }
}

/// Looks at all these jobs and reports each to the keeper.
///
/// Jobs without a trigger are considered together and settled in one batch; a trigger gets a task of its own, so that
/// a slow one holds up nobody else. So does a job whose running tasks take longer than [`PATIENCE`] to be counted.
pub(super) async fn look(core: Arc<Core>, due: Vec<Due>, reports: Reports) {
    let ids: Vec<JobId> = due.iter().map(|due| due.id.clone()).collect();
    let mut loaded: HashMap<JobId, Arc<Loaded>> = match core.load_jobs(&ids).await {
        Ok(loaded) => loaded.into_iter().collect(),
        Err(_) => {
            return give_back(due, &Progressed::Retry, FireError::Store, &reports).await;
        }
    };
    let (mut together, mut unknown) = (Vec::new(), Vec::new());
    for due in due {
        let known = loaded.remove(&due.id).filter(|hot| hot.uid == due.uid && hot.revision == due.revision);
        let Some(hot) = known else {
            core.hot.forget(&due.id);
            unknown.push(due);
            continue;
        };
        let triggered = due.order.is_none() && hot.job.as_ref().is_ok_and(|job| job.trigger.is_some());
        if !triggered {
            together.push((due, hot));
            continue;
        }
        let permit = Arc::clone(&core.commons.evaluations)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (task_core, reports) = (Arc::clone(&core), reports.clone());
        core.spawn(async move {
            let considered = consider(&task_core, due, &hot).await;
            drop(permit);
            task_core.settle(vec![considered], &reports).await;
        });
    }
    give_back(unknown, &Progressed::Reread, FireError::Changed, &reports).await;
    look_together(&core, together, reports).await;
}

/// Considers jobs side by side and settles in one batch what is known in time; the others follow one by one.
async fn look_together(core: &Arc<Core>, jobs: Vec<(Due, Arc<Loaded>)>, reports: Reports) {
    let mut considered = Vec::with_capacity(jobs.len());
    let mut under_way = FuturesUnordered::new();
    let mut turn = Some(core.commons.deciding.acquire().await.expect("the semaphore is never closed"));
    for (due, hot) in jobs {
        let task_core = Arc::clone(core);
        let mut looking = Box::pin(async move { consider(&task_core, due, &hot).await });
        // Most need not wait for anything: they are not kept until the last one was begun.
        match futures::future::poll_immediate(&mut looking).await {
            Some(one) => considered.push(one),
            None => under_way.push(looking),
        }
    }
    if !under_way.is_empty() {
        turn = None;
        let in_time = async {
            while let Some(one) = under_way.next().await {
                considered.push(one);
            }
        };
        // What is late is taken up below.
        let _ = tokio::time::timeout(PATIENCE, in_time).await;
        for late in under_way {
            let (task_core, reports) = (Arc::clone(core), reports.clone());
            core.spawn(async move { task_core.settle(vec![late.await], &reports).await });
        }
    }
    let mut settling = std::pin::pin!(core.settle(considered, &reports));
    // Up to where it waits for the store: to write down what was decided is as much work as to decide it.
    let settled = futures::future::poll_immediate(&mut settling).await;
    drop(turn);
    if settled.is_none() {
        settling.await;
    }
}

/// Reports jobs that were not looked at.
async fn give_back(due: Vec<Due>, progressed: &Progressed, error: FireError, reports: &Reports) {
    let mut progress = Vec::with_capacity(due.len());
    for due in due {
        scheduler_loop::answer(due.order, Err(error));
        progress.push((due.place, progressed.clone()));
    }
    reports.send(progress).await;
}

/// Plans a job's ticks and decides about the one that is looked at.
async fn consider(core: &Core, mut due: Due, hot: &Arc<Loaded>) -> Considered {
    let now = core.clock.now();
    let Ok(job) = &hot.job else {
        return Considered::nothing(due, hot);
    };
    if let Some(order) = due.order.take() {
        return by_hand(core, due, order, job, hot, now).await;
    }
    let Some(ticks) = Ticks::of(job, due.after) else { return Considered::nothing(due, hot) };
    let tried = core.retries.get(&due.uid);
    let catch_up = job.policy.catch_up;
    let Some(plan) = ticks.plan(now, catch_up, tried.as_ref().map(|tried| tried.tick)) else {
        return Considered::nothing(due, hot);
    };
    let because =
        if plan.tick.is_some() { "a later tick took its place" } else { "its catch-up window had passed" };
    let mut records: Vec<DecisionDraft> = Vec::with_capacity(plan.passed.len() + 1);
    records.extend(plan.passed.iter().map(|(outcome, span)| {
        match tried.as_ref().filter(|tried| span.first == tried.tick && span.count == 1) {
            Some(tried) => undecided(tried, *span, now, because),
            None => passed_over(*outcome, *span, now),
        }
    }));
    let mut considered = Considered::nothing(due, hot);
    let (mut settles, mut firing) = (plan.settles, None);
    if let Some(nominal) = plan.tick {
        let again = tried.as_ref().filter(|tried| tried.tick == nominal).map_or(0, |tried| tried.tries);
        if again == 0 {
            core.commons.counters.late(now.duration_since(ticks.due(nominal)));
        }
        let tick = Tick { nominal, observed: now };
        let question =
            Question { job, loaded: hot, tick, by: Asker::Tick, given: Given::default(), tried: again };
        let Judgement { draft, firing: planned, undecided } =
            core.unless_launched(core.judge(&question).await, &considered.due.uid);
        if undecided {
            let reason = (draft.outcome, draft.explanation);
            let retrying = Retrying::new(&job.id, nominal, reason, tried.as_ref(), core.clock.now());
            considered.look_again = Some(ticks.next_look(nominal, now, catch_up, retrying.next_try));
            considered.retrying = Some(retrying);
            let Some(passed) = plan.passed.last() else { return considered };
            settles = passed.1.last;
        } else {
            records.push(draft);
            firing = planned;
        }
    }
    considered.settlement = Some(Settlement {
        job: considered.due.id.clone(),
        uid: considered.due.uid,
        revision: considered.due.revision,
        expected: considered.due.settled,
        settled: Some(settles),
        records,
        firing,
    });
    considered
}

impl Core {
    /// Launches nothing for a tick that was launched while the clock was ahead.
    fn unless_launched(&self, judgement: Judgement, uid: &JobUid) -> Judgement {
        let Some(firing) = &judgement.firing else { return judgement };
        if self.launched.lock().remove(uid).is_none_or(|known| known != firing.id) {
            return judgement;
        }
        let why = format!(
            "the tick was launched as firing {} when the clock was ahead, and is not launched again",
            firing.id
        );
        let draft = DecisionDraft { launch: 0, steps: Vec::new(), ..judgement.draft };
        (draft.ended(Outcome::Coalesced, why), None).into()
    }
}

async fn by_hand(
    core: &Core,
    due: Due,
    order: FireOrder,
    job: &Job,
    hot: &Arc<Loaded>,
    now: Timestamp,
) -> Considered {
    let tick = Tick { nominal: now, observed: now };
    let by = Asker::Hand {
        id: crate::FiringId::by_hand(&due.uid, now, &order.key),
        tasks: order.tasks.map(std::num::NonZeroU32::get),
    };
    let question = Question { job, loaded: hot, tick, by, given: Given::default(), tried: 0 };
    let Judgement { draft, firing, .. } = core.judge(&question).await;
    let settlement = Settlement {
        job: due.id.clone(),
        uid: due.uid,
        revision: due.revision,
        expected: due.settled,
        settled: due.settled,
        records: vec![draft],
        firing,
    };
    Considered { settlement: Some(settlement), order: Some(order), ..Considered::nothing(due, hot) }
}

/// Records ticks that are not looked at.
fn passed_over(outcome: Outcome, span: TickSpan, now: Timestamp) -> DecisionDraft {
    let why = if outcome == Outcome::Missed {
        "too late when the scheduler got to it"
    } else {
        "folded into a later tick"
    };
    DecisionDraft { tries: 0, ..blank(span, now) }.ended(outcome, why.to_owned())
}

/// Records a tick that was tried and could not be decided.
fn undecided(tried: &Retrying, span: TickSpan, now: Timestamp, because: &str) -> DecisionDraft {
    let draft = DecisionDraft { tries: tried.tries, ..blank(span, now) };
    draft.ended(tried.outcome, tried.last_words(because))
}
