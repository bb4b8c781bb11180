//! Settling: many jobs in one transaction, each job's part under the condition that its mark is as it was read.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::{JobId, Settled, Settlement, StoreError};
use futures::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use crate::backoff::Patience;
use crate::context::Shared;
use crate::db::Committed;
use crate::job_meta::{Mark, crowded};
use crate::journal_writer::Lane;
use crate::limits::{ACTIONS, BYTES, COMMITS};
use crate::write_set::{Plan, numbers};

/// A batch on its way into the table.
struct Batch<'a> {
    shared: &'a Shared,
    lane: &'a Lane,
    settlements: Vec<Settlement>,
    answers: Vec<Option<Settled>>,
    /// What each settlement was to be answered in each round, in case its answer was lost.
    planned: HashMap<String, Settled>,
    /// Settlements whose firing was found to be known.
    known: HashSet<usize>,
    /// Tells this batch from any other.
    stamp: String,
}

/// Records the settlements that are not stale.
pub(crate) async fn settle(
    shared: &Shared,
    lane: &Lane,
    settlements: Vec<Settlement>,
) -> Result<Vec<Settled>, StoreError> {
    shared.db.ensure_open()?;
    let mut batch = Batch {
        shared,
        lane,
        answers: vec![None; settlements.len()],
        settlements,
        planned: HashMap::new(),
        known: HashSet::new(),
        stamp: Uuid::new_v4().simple().to_string(),
    };
    let mut patience = Patience::for_writes();
    let mut round = 0_usize;
    loop {
        let places = batch.turn();
        if places.is_empty() {
            let answers = batch.answers.into_iter();
            return Ok(answers.map(|answer| answer.expect("every settlement was answered")).collect());
        }
        let refused = batch.round(round, &places).await?;
        round += 1;
        if refused && !patience.wait().await {
            return Err(crowded("settle"));
        }
    }
}

impl Batch<'_> {
    /// Returns which settlements are next: of each job the first that has no answer, so that the second sees it.
    fn turn(&self) -> Vec<usize> {
        let mut jobs: HashSet<&JobId> = HashSet::new();
        let open = self.answers.iter().enumerate().filter(|(_, answer)| answer.is_none());
        open.map(|(place, _)| place).filter(|place| jobs.insert(&self.settlements[*place].job)).collect()
    }

    /// Tries these once; tells whether some of them met others and must be tried again.
    async fn round(&mut self, round: usize, places: &[usize]) -> Result<bool, StoreError> {
        let jobs = places.iter().map(|place| &self.settlements[*place].job);
        let marks = self.shared.marks(jobs).await?;
        let mut fresh = Vec::new();
        for place in places.iter().copied() {
            match self.judge(place, marks.get(&self.settlements[place].job)) {
                Ok(mark) => fresh.push((place, mark)),
                Err(settled) => self.answers[place] = Some(settled),
            }
        }
        let plans = self.plan(round, fresh).await?;
        let (shared, lane) = (self.shared, self.lane);
        let commits: Vec<_> =
            grouped(plans, lane.room()).into_iter().map(|group| commit(shared, lane, group)).collect();
        let groups: Vec<Group> =
            futures::stream::iter(commits).buffer_unordered(COMMITS).try_collect().await?;
        let mut refused = false;
        for group in groups {
            for plan in group.plans {
                if group.done {
                    self.answers[plan.place] = Some(Settled::Recorded(plan.ids));
                } else {
                    refused = true;
                    if plan.claim.is_some_and(|claim| group.refused.contains(&(plan.first + claim))) {
                        self.known.insert(plan.place);
                    }
                }
            }
        }
        Ok(refused)
    }

    /// Returns the mark of a settlement that is fresh, else its answer.
    fn judge<'m>(&self, place: usize, mark: Option<&'m Mark>) -> Result<&'m Mark, Settled> {
        let settlement = &self.settlements[place];
        let mark = mark.filter(|mark| mark.uid == settlement.uid).ok_or(Settled::Stale)?;
        // Who finds his own stamp wrote it, and lost the answer.
        if let Some(settled) = self.planned.get(&mark.stamp).filter(|_| self.is_of(place, &mark.stamp)) {
            return Err(settled.clone());
        }
        let fresh = mark.revision == settlement.revision
            && mark.progress.settled == settlement.expected
            && !self.known.contains(&place);
        if fresh { Ok(mark) } else { Err(Settled::Stale) }
    }

    fn stamp(&self, place: usize, round: usize) -> String {
        format!("{}/{place}/{round}", self.stamp)
    }

    fn is_of(&self, place: usize, stamp: &str) -> bool {
        stamp.strip_prefix(&format!("{}/{place}/", self.stamp)).is_some()
    }

    /// Plans what is fresh, with numbers in the order of the batch.
    async fn plan(&mut self, round: usize, fresh: Vec<(usize, &Mark)>) -> Result<Vec<Plan>, StoreError> {
        let counts: Vec<usize> =
            fresh.iter().map(|(place, mark)| numbers(mark, &self.settlements[*place])).collect();
        let count: usize = counts.iter().sum();
        let mut next = if count == 0 { 0 } else { self.shared.db.reserve(count).await? };
        let mut plans = Vec::with_capacity(fresh.len());
        for ((place, mark), count) in fresh.into_iter().zip(counts) {
            let stamp = self.stamp(place, round);
            let plan = Plan::new(place, mark, &self.settlements[place], next, stamp.clone())?;
            next += count as u64;
            self.planned.insert(stamp, Settled::Recorded(plan.ids.clone()));
            plans.push(plan);
        }
        Ok(plans)
    }
}

/// Settlements that are committed together.
struct Group {
    plans: Vec<Placed>,
    done: bool,
    /// Which writes were refused.
    refused: Vec<usize>,
}

/// A plan in a group.
struct Placed {
    place: usize,
    ids: Vec<ecs_scheduler_core::DecisionId>,
    claim: Option<usize>,
    /// Which write of the group is its first.
    first: usize,
}

/// Puts plans into transactions of the size that DynamoDB takes.
fn grouped(plans: Vec<Plan>, room: usize) -> Vec<Vec<Plan>> {
    debug_assert!(room < ACTIONS + 1, "a transaction has no more room");
    let mut groups: Vec<Vec<Plan>> = Vec::new();
    let (mut actions, mut bytes) = (0, 0);
    for plan in plans {
        let (count, weight) = (plan.writes.len(), plan.weight());
        if groups.is_empty() || actions + count > room || bytes + weight > BYTES {
            groups.push(Vec::new());
            (actions, bytes) = (0, 0);
        }
        actions += count;
        bytes += weight;
        groups.last_mut().expect("there is a group").push(plan);
    }
    groups
}

async fn commit(shared: &Shared, lane: &Lane, plans: Vec<Plan>) -> Result<Group, StoreError> {
    let mut writes = Vec::new();
    let mut placed = Vec::with_capacity(plans.len());
    for plan in plans {
        placed.push(Placed { place: plan.place, ids: plan.ids, claim: plan.claim, first: writes.len() });
        writes.extend(plan.writes);
    }
    let committed = lane.commit(&shared.db, "settle", writes).await?;
    Ok(match committed {
        Committed::Done => Group { plans: placed, done: true, refused: Vec::new() },
        Committed::Refused(refused) => Group { plans: placed, done: false, refused },
    })
}
