//! A job with its versions, and which of its ticks are due: the calendar of the model.

use crate::config::CatchUp;

/// A moment. Moment 0 is that of the job's creation.
pub type Moment = u8;

/// A set of moments, 0 to 7.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moments(pub u8);

impl Moments {
    /// Those later than `after` and not later than `until`.
    #[must_use]
    pub const fn between(after: Moment, until: Moment) -> Self {
        Self(below(until + 1) & !below(after + 1))
    }

    /// Those in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those not in the other set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the earliest.
    #[must_use]
    pub fn first(self) -> Option<Moment> {
        self.iter().next()
    }

    /// Returns the latest.
    #[must_use]
    pub fn last(self) -> Option<Moment> {
        self.iter().next_back()
    }

    /// Walks through them in the order of time.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Moment> {
        (0..8).filter(move |moment| self.0 & (1 << moment) != 0)
    }
}

const fn below(moment: Moment) -> u8 {
    if moment >= 8 { u8::MAX } else { (1 << moment) - 1 }
}

/// When a job has ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Schedule {
    /// At 1, 3 and 5: before an edit of the schedule.
    Odd,
    /// At 2 and 4: after it.
    Even,
}

impl Schedule {
    /// Returns its ticks.
    #[must_use]
    pub const fn ticks(self) -> Moments {
        match self {
            Self::Odd => Moments(0b0010_1010),
            Self::Even => Moments(0b0001_0100),
        }
    }
}

/// A version that had ticks without an outcome when the next one was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Earlier {
    /// Its ticks are later than this.
    pub from: Moment,
    /// And not later than this.
    pub until: Moment,
    /// Its schedule.
    pub schedule: Schedule,
}

/// A job as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job {
    /// Another version was written since this one was read: its revision is not the store's.
    pub replaced: bool,
    /// Ticks up to here have an outcome; 0 when none has.
    pub settled: Moment,
    /// When this version was written.
    pub changed: Moment,
    /// Its schedule.
    pub schedule: Schedule,
    /// `earlierSchedules`, oldest first.
    pub earlier: [Option<Earlier>; 2],
}

/// The plan for the ticks that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    /// The ticks that end without an evaluation.
    pub passed: Moments,
    /// The tick that is evaluated.
    pub tick: Option<Moment>,
    /// The newest one that is settled.
    pub settles: Moment,
}

impl Job {
    pub(crate) const NEW: Self =
        Self { replaced: false, settled: 0, changed: 0, schedule: Schedule::Odd, earlier: [None; 2] };

    /// Returns the moment after which ticks count.
    fn counts_from(&self) -> Moment {
        self.earlier[0].map_or(self.changed, |first| first.from)
    }

    /// Returns the moment after which ticks are still to be settled.
    pub(crate) fn after(&self) -> Moment {
        self.settled.max(self.counts_from())
    }

    /// Returns the ticks of the earlier versions and, behind them, of this one.
    fn ticks(&self) -> Moments {
        let earlier = self.earlier.iter().flatten();
        let begin = earlier.clone().last().map_or(0, |last| last.until);
        let own = self.schedule.ticks().and(Moments::between(begin, 7));
        earlier.fold(own, |all, version| {
            all.or(version.schedule.ticks().and(Moments::between(version.from, version.until)))
        })
    }

    /// Returns the ticks that are due and have no outcome.
    pub(crate) fn due(&self, now: Moment) -> Moments {
        self.ticks().and(Moments::between(self.after(), now))
    }

    /// Returns the version after an edit at this moment.
    pub(crate) fn replacement(&self, schedule: Schedule, at: Moment, keep: bool) -> Self {
        let mut next = Self { changed: at, schedule, ..*self };
        next.earlier = [None; 2];
        if !keep || self.due(at).is_empty() {
            return next;
        }
        let after = self.after();
        let mut list: Vec<Earlier> =
            self.earlier.into_iter().flatten().filter(|version| version.until > after).collect();
        match list.last_mut().filter(|last| last.schedule == self.schedule) {
            Some(last) => last.until = at,
            None => list.push(Earlier { from: self.changed, until: at, schedule: self.schedule }),
        }
        for (slot, version) in next.earlier.iter_mut().zip(list) {
            *slot = Some(version);
        }
        next
    }

    /// Forgets what says nothing about ticks that are still to be settled.
    pub(crate) fn compact(&mut self) {
        let settled = self.settled;
        if self.earlier[0].is_some_and(|first| first.until <= settled) {
            self.earlier = [self.earlier[1], None];
        }
        if self.earlier[0].is_some_and(|first| first.until <= settled) {
            self.earlier = [None; 2];
        }
        if let Some(first) = &mut self.earlier[0] {
            first.from = if first.from <= settled { 0 } else { first.from };
        } else if self.changed <= settled {
            self.changed = 0;
        }
    }

    /// Plans the ticks that are due; nothing when none is.
    pub(crate) fn plan(&self, now: Moment, window: Moment, catch_up: CatchUp) -> Option<Plan> {
        let due = self.due(now);
        let newest = due.last()?;
        let honoured = |tick: Moment| now - tick <= window;
        if !honoured(newest) {
            return Some(Plan { passed: due, tick: None, settles: newest });
        }
        let tick = match catch_up {
            CatchUp::Latest => newest,
            CatchUp::All => due.iter().find(|tick| honoured(*tick)).unwrap_or(newest),
        };
        let passed = due.and(Moments::between(0, tick - 1));
        Some(Plan { passed, tick: Some(tick), settles: tick })
    }
}
