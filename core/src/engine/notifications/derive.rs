//! From what happened to jobs to notifications, by the rules of each job.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Notifications;
use super::grouping::{NewNotification, group};
use crate::decide::TickSpan;
use crate::engine::failing_tasks::FailingTasks;
use crate::engine::faults::{Failing, FailingJob};
use crate::engine::job_cache::CachedJob;
use crate::engine::notices::Notice;
use crate::id::{JobId, JobUid};
use crate::job::{Job, format_duration};
use crate::notify::{Notification, NotificationKind, Notified, NotifiedJob};
use crate::policy::{NotifyCondition, NotifyRule};
use crate::store::{MAX_PAGE, Shard, StoreError};

/// The parsed jobs of a pass, by name.
pub(super) type LoadedJobs = HashMap<JobId, Arc<CachedJob>>;

/// A job that may be late, and its first tick without an outcome.
type LateCandidate = (JobUid, Job, Option<Timestamp>);

/// The results of one pass.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) now: Timestamp,
    pub(super) new: Vec<NewNotification>,
    /// The channel and id of each.
    known: HashSet<(String, String)>,
}

impl Pass {
    /// Adds a notification for a channel.
    fn push(&mut self, channel: &str, notification: Notification) {
        // Notice and journal may tell the same.
        if !self.known.insert((channel.to_owned(), notification.id.clone())) {
            return;
        }
        let shard = Shard::from_job(&notification.jobs[0].job);
        self.new.push(NewNotification { shard, channel: channel.to_owned(), notification });
    }
}

impl Notifications {
    /// Makes notifications of the notices, and of the present state of jobs, and adds them to the outboxes.
    pub(super) async fn derive(&mut self) -> Result<(), StoreError> {
        let (notices, overflow) = self.engine.notices.drain();
        let failing = self.engine.process.faults.failing_jobs_of(self.engine.number);
        let named = notices.iter().map(Notice::job).chain(failing.values().map(|failing| &failing.job));
        let known = self.outboxes.values().flat_map(|kept| kept.outbox.jobs.values());
        let names: BTreeSet<JobId> = named.chain(known.map(|episodes| &episodes.job)).cloned().collect();
        let read =
            async { Ok::<_, StoreError>((self.load(names).await?, self.read_late_candidates().await?)) };
        let (jobs, late) = match read.await {
            Ok(read) => read,
            Err(error) => {
                self.engine.notices.requeue(notices);
                return Err(error);
            }
        };
        let mut pass = Pass { now: self.engine.clock.now(), new: Vec::new(), known: HashSet::new() };
        for notice in notices {
            self.derive_notice(&mut pass, &jobs, notice);
        }
        for (uid, failing) in &failing {
            self.derive_failing(&mut pass, &jobs, *uid, failing);
        }
        self.derive_recovered(&mut pass, &jobs, &failing).await;
        // After that: a job that is only late is not among the loaded ones.
        for (uid, job, tick) in &late {
            self.derive_late(&mut pass, *uid, job, *tick);
        }
        self.add(pass);
        if overflow {
            // The journal has what did not fit. Failing jobs are known without it.
            self.read_journal(&mut BTreeSet::new()).await?;
        }
        Ok(())
    }

    async fn load(&self, names: BTreeSet<JobId>) -> Result<LoadedJobs, StoreError> {
        let names: Vec<JobId> = names.into_iter().filter(|name| self.owns(name)).collect();
        let mut jobs = LoadedJobs::new();
        for names in names.chunks(MAX_PAGE.get()) {
            jobs.extend(self.engine.load_jobs(names).await?);
        }
        Ok(jobs)
    }

    /// Reads the jobs that may be late, each with its first tick without an outcome.
    async fn read_late_candidates(&self) -> Result<Vec<LateCandidate>, StoreError> {
        let known = self.outboxes.values().flat_map(|kept| kept.outbox.jobs.values());
        let known = known.filter(|episodes| !episodes.late.is_empty()).map(|episodes| episodes.job.clone());
        let others = self.engine.notices.overdue().into_iter().chain(self.engine.retries.jobs());
        let names: BTreeSet<JobId> = known.chain(others).collect();
        let names: Vec<JobId> = names.into_iter().collect();
        let mut candidates = Vec::new();
        for names in names.chunks(MAX_PAGE.get()) {
            for stored in self.engine.store.get(names).await? {
                if let Ok(job) = self.engine.parse(&stored) {
                    let tick = self.engine.first_open_tick(&stored, &job);
                    candidates.push((stored.uid, job, tick));
                }
            }
        }
        Ok(candidates)
    }

    /// Returns the rules of a job: its own, or those of all jobs.
    pub(super) fn rules<'a>(&'a self, job: Option<&'a Job>) -> &'a [NotifyRule] {
        let own = job.and_then(|job| job.policy.notify.as_deref());
        own.unwrap_or_else(|| self.notifier.defaults())
    }

    /// Returns the channels for an event of a job.
    fn channels_for(&self, cached: &CachedJob, condition: NotifyCondition) -> Vec<String> {
        let rules = self.rules(cached.job.as_ref().ok()).iter();
        let channels: BTreeSet<&str> =
            rules.filter(|rule| rule.has(condition)).map(|rule| rule.to.as_str()).collect();
        channels.into_iter().map(str::to_owned).collect()
    }

    fn derive_notice(&mut self, pass: &mut Pass, jobs: &LoadedJobs, notice: Notice) {
        let Some(cached) = jobs.get(notice.job()).map(Arc::clone) else { return };
        match notice {
            Notice::Missed { job, uid, ticks } if uid == cached.uid => {
                let entry = NotifiedJob::new(job, &missed_text(&ticks)).since(ticks.first, ticks.count);
                let parts = [uid.to_string(), ticks.first.to_string()];
                let channels = self.channels_for(&cached, NotifyCondition::Missed);
                self.add_notification(pass, NotificationKind::Missed, &entry, &parts, &channels);
            }
            Notice::Unknown { job, uid, firing, note, started } if uid == cached.uid => {
                let tasks =
                    if started == 0 { "tasks".to_owned() } else { format!("more than {started} tasks") };
                let text = format!("it is not known whether firing {firing} started {tasks}: {note}");
                let remedy = "look for its tasks before you fire the job again";
                let entry = NotifiedJob::new(job, &text).with_firing(&firing).with_remedy(remedy);
                let channels = self.channels_for(&cached, NotifyCondition::Unknown);
                self.add_notification(
                    pass,
                    NotificationKind::Unknown,
                    &entry,
                    &[firing.to_string()],
                    &channels,
                );
            }
            Notice::Suspension { job, changed } if changed >= self.reported_until => {
                self.derive_suspension(pass, job, &cached);
            }
            Notice::Missed { .. } | Notice::Unknown { .. } | Notice::Suspension { .. } => {}
        }
    }

    fn derive_suspension(&mut self, pass: &mut Pass, job: JobId, cached: &CachedJob) {
        let Ok(parsed) = &cached.job else { return };
        let suspension = parsed.suspension.clone().filter(|suspension| suspension.holds(pass.now));
        let channels = self.channels_for(cached, NotifyCondition::Suspended);
        let suspension = suspension.filter(|_| !channels.is_empty());
        let before = self.edit_episodes(cached.uid, &job, |known| {
            std::mem::replace(&mut known.suspension, suspension.clone())
        });
        let Some(suspension) = suspension.filter(|suspension| before.flatten().as_ref() != Some(suspension))
        else {
            return;
        };
        let reason = suspension.reason.as_deref().unwrap_or("no reason was given");
        let by = suspension.actor.as_ref().map_or_else(String::new, |actor| format!(", by {actor}"));
        let until = suspension.until.map_or_else(String::new, |until| format!(", until {until}"));
        let entry = NotifiedJob::new(job, &format!("{reason}{by}{until}"));
        let parts = [cached.uid.to_string(), cached.revision.to_string()];
        self.add_notification(pass, NotificationKind::Suspended, &entry, &parts, &channels);
    }

    /// Adds a notification for each channel, unless it was added lately.
    pub(super) fn add_notification(
        &self,
        pass: &mut Pass,
        kind: NotificationKind,
        entry: &NotifiedJob,
        parts: &[String],
        channels: &[String],
    ) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let notification = Notification::of_job(kind, pass.now, entry.clone(), &parts);
        // The journal may yield these again. The outbox knows which channels know of failing and late jobs.
        let is_repeated = match kind {
            NotificationKind::Missed | NotificationKind::Unknown | NotificationKind::Suspended => {
                let kept = self.outboxes.get(&Shard::from_job(&entry.job));
                kept.is_some_and(|kept| kept.outbox.is_recent(&notification.id))
            }
            NotificationKind::Failing
            | NotificationKind::Recovered
            | NotificationKind::Late
            | NotificationKind::Test => false,
        };
        if is_repeated {
            return;
        }
        for channel in channels {
            pass.push(channel, notification.clone());
        }
    }

    /// Tells each channel once that a job fails, for each number of failures in its rules. If several numbers are reached at once,
    /// only the highest one is reported.
    fn derive_failing(&mut self, pass: &mut Pass, jobs: &LoadedJobs, uid: JobUid, failing: &FailingJob) {
        let Some(cached) = jobs.get(&failing.job).filter(|cached| cached.uid == uid) else { return };
        let failures = failing.failures();
        let mut reached: HashMap<&str, Vec<u64>> = HashMap::new();
        let rules = self.rules(cached.job.as_ref().ok()).to_vec();
        for rule in &rules {
            let numbers = rule.failing().map(|number| u64::from(number.get()));
            reached.entry(&rule.to).or_default().extend(numbers.filter(|number| *number <= failures));
        }
        reached.retain(|_, numbers| !numbers.is_empty());
        if reached.is_empty() {
            return;
        }
        let new = self.edit_episodes(uid, &failing.job, |known| {
            known.outcome = failing.ticks.as_ref().map(|ticks| ticks.outcome).or(known.outcome);
            known.tasks |= failing.tasks.is_some();
            let mut new = Vec::new();
            for (channel, numbers) in reached {
                let told = |threshold| Notified { channel: channel.to_owned(), threshold };
                let untold = numbers.into_iter().filter(|number| !known.failing.contains(&told(*number)));
                let untold: BTreeSet<u64> = untold.collect();
                known.failing.extend(untold.iter().map(|number| told(*number)));
                new.extend(untold.last().map(|highest| (channel.to_owned(), *highest)));
            }
            new
        });
        let (entry, since) = failing_entry(failing);
        for (channel, threshold) in new.into_iter().flatten() {
            let parts = [uid.to_string(), since.to_string(), threshold.to_string()];
            self.add_notification(pass, NotificationKind::Failing, &entry, &parts, &[channel]);
        }
    }

    /// Tells channels of a job whose first tick without an outcome was due long ago, once for each delay in its rules. Forgets a job
    /// that is not late any more.
    fn derive_late(&mut self, pass: &mut Pass, uid: JobUid, job: &Job, tick: Option<Timestamp>) {
        let jitter = signed(job.policy.jitter.unwrap_or_default());
        let late_by =
            tick.map_or(SignedDuration::ZERO, |tick| pass.now.duration_since(tick).saturating_sub(jitter));
        let is_late = late_by.is_positive() && job.suspension_of(pass.now).is_none();
        let mut reached = Vec::new();
        for rule in self.rules(Some(job)).iter().filter(|_| is_late) {
            let delays = rule.late().filter(|delay| signed(*delay) <= late_by);
            reached.extend(delays.map(|delay| (rule.to.clone(), delay)));
        }
        let new = self.edit_episodes(uid, &job.id, |known| {
            if !is_late || known.late_tick != tick {
                (known.late_tick, known.late) = (None, Vec::new());
            }
            let told = |(channel, delay): &(String, Duration)| Notified {
                channel: channel.clone(),
                threshold: delay.as_secs(),
            };
            reached.retain(|one| !known.late.contains(&told(one)));
            if !reached.is_empty() {
                known.late_tick = tick;
                known.late.extend(reached.iter().map(told));
            }
            reached
        });
        let Some(tick) = tick else { return };
        for (channel, delay) in new.into_iter().flatten() {
            let text = format!("the tick of {tick} has no outcome after {}", format_duration(delay));
            let entry = NotifiedJob::new(job.id.clone(), &text).since(tick, 1);
            let parts = [uid.to_string(), tick.to_string(), delay.as_secs().to_string()];
            self.add_notification(pass, NotificationKind::Late, &entry, &parts, &[channel]);
        }
    }

    /// Adds what a pass has found to the outboxes, grouped if it is much.
    fn add(&mut self, pass: Pass) {
        let Pass { now, new, .. } = pass;
        for one in &new {
            if let Some(kept) = self.outboxes.get_mut(&one.shard) {
                kept.is_changed = true;
                kept.outbox.remember(&one.notification.id, now);
            }
        }
        for NewNotification { shard, channel, notification } in group(new, now) {
            let Some(kept) = self.outboxes.get_mut(&shard) else { continue };
            tracing::info!(channel, id = notification.id, "notifying: {}", notification.summary());
            (kept.is_changed, kept.has_new) = (true, true);
            kept.outbox.push(&channel, notification, now);
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn missed_text(ticks: &TickSpan) -> String {
    match ticks.count {
        1 => format!("the tick of {} was reached too late", ticks.last),
        count => format!("{count} ticks from {} to {} were reached too late", ticks.first, ticks.last),
    }
}

/// Describes a failing job, and since when it fails: by that of its ticks and tasks which failed more often.
fn failing_entry(failing: &FailingJob) -> (NotifiedJob, Timestamp) {
    let job = failing.job.clone();
    let of_ticks = |Failing { outcome, reason, since, ticks }: &Failing| {
        let text = format!("{} failed ({outcome}) since {since:.0}: {reason}", times(*ticks, "tick"));
        (NotifiedJob::new(job.clone(), &text).since(*since, *ticks), *since)
    };
    let of_tasks = |FailingTasks { since, firings, firing, diagnosis }: &FailingTasks| {
        let text =
            format!("the tasks of {} failed since {since:.0}: {}", times(*firings, "firing"), diagnosis.text);
        let entry = NotifiedJob::new(job.clone(), &text).since(*since, *firings);
        (entry.with_firing(firing).with_remedy(&diagnosis.remedy), *since)
    };
    match (&failing.ticks, &failing.tasks) {
        (Some(ticks), Some(tasks)) if tasks.firings > ticks.ticks => of_tasks(tasks),
        (Some(ticks), _) => of_ticks(ticks),
        (None, Some(tasks)) => of_tasks(tasks),
        (None, None) => (NotifiedJob::new(job.clone(), ""), Timestamp::MIN),
    }
}

fn times(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s in a row") }
}
