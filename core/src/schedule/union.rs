//! Unions of schedules, and schedules with narrower bounds.

use std::sync::Arc;

use jiff::Timestamp;

use super::spec::MAX_EXPRESSIONS;
use super::{Parsed, Schedule};

#[cfg(test)]
mod tests;

impl Schedule {
    /// Makes the union of schedules, which ticks when at least one of them does. `None` for no schedules.
    ///
    /// Each part keeps its own zone, start and end.
    ///
    /// # Example
    /// ```
    /// use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec};
    ///
    /// let nine = ["0 0 9".to_owned()];
    /// let parse = |zone| Schedule::parse(&ScheduleSpec { timezone: Some(zone), ..ScheduleSpec::written(&nine) });
    /// let union = Schedule::union(&[parse("Europe/Berlin")?, parse("Asia/Tokyo")?]).unwrap();
    /// let ticks: Vec<_> = union.upcoming("2026-01-01T00:00:00Z".parse()?).take(3).collect();
    /// let expected = ["2026-01-01T08:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T08:00:00Z"];
    /// assert_eq!(ticks, expected.map(|tick| tick.parse().unwrap()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn union(schedules: &[Self]) -> Option<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for part in schedules.iter().flat_map(Self::parts) {
            let merged = parts.iter_mut().find_map(|known| Some((known.merged(&part)?, known)));
            match merged {
                Some((merged, known)) => *known = merged,
                None => parts.push(part),
            }
        }
        let (first, others) = parts.split_first()?;
        if others.is_empty() {
            return Some(first.clone());
        }
        Some(Self(Arc::new(Parsed { others: others.into(), ..first.0.plain() })))
    }

    /// Narrows a schedule: no tick before `start` and none after `end`, both inclusive. `rate(…)` keeps its anchor.
    pub(crate) fn within(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> Self {
        if start.is_none() && end.is_none() {
            return self.clone();
        }
        let narrow = |parsed: &Parsed| Parsed {
            start: parsed.start.max(start),
            end: [parsed.end, end].into_iter().flatten().min(),
            ..parsed.plain()
        };
        let others = self.0.others.iter().map(|part| Self(Arc::new(narrow(&part.0)))).collect();
        Self(Arc::new(Parsed { others, ..narrow(&self.0) }))
    }

    /// The same expressions without start and end.
    pub(crate) fn unbounded(&self) -> Self {
        let free = |parsed: &Parsed| Parsed { start: None, end: None, ..parsed.plain() };
        let others = self.0.others.iter().map(|part| Self(Arc::new(free(&part.0)))).collect();
        Self(Arc::new(Parsed { others, ..free(&self.0) }))
    }

    /// Returns the number of ticks of a union in (`after`, `until`]: part by part, where the parts follow each other in time.
    pub(super) fn count_parts(&self, after: Timestamp, until: Timestamp) -> u64 {
        let with_ticks = self.parts().filter_map(|part| {
            let first = part.next_after(after).filter(|first| *first <= until)?;
            Some((first, part.last_in(after, until)?, part))
        });
        let mut parts: Vec<(Timestamp, Timestamp, Self)> = with_ticks.collect();
        parts.sort_by_key(|(first, ..)| *first);
        if parts.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
            return self.upcoming(after).take_while(|tick| *tick <= until).map(|_| 1).sum();
        }
        parts.iter().map(|(.., part)| part.count_in(after, until)).sum()
    }

    /// The parts of a union; the schedule itself if it is none.
    fn parts(&self) -> impl Iterator<Item = Self> {
        let first = if self.0.others.is_empty() { self.clone() } else { Self(Arc::new(self.0.plain())) };
        std::iter::once(first).chain(self.0.others.iter().cloned())
    }

    /// One schedule with the expressions of both, where they have the same zone and bounds.
    fn merged(&self, other: &Self) -> Option<Self> {
        let (a, b) = (&*self.0, &*other.0);
        let alike = (a.start, a.end, a.strictness) == (b.start, b.end, b.strictness)
            && a.zone.name() == b.zone.name();
        if !alike || a.entries.len() + b.entries.len() > MAX_EXPRESSIONS {
            return None;
        }
        let new = || b.expressions.iter().zip(&b.entries).filter(|(_, entry)| !a.entries.contains(entry));
        let expressions = a.expressions.iter().cloned().chain(new().map(|(text, _)| text.clone())).collect();
        let entries = a.entries.iter().cloned().chain(new().map(|(_, entry)| entry.clone())).collect();
        Some(Self(Arc::new(Parsed { expressions, written: Box::default(), entries, ..a.plain() })))
    }
}

impl Parsed {
    /// A copy without the other parts of the union.
    fn plain(&self) -> Self {
        Self {
            expressions: self.expressions.clone(),
            written: self.written.clone(),
            entries: self.entries.clone(),
            zone: Arc::clone(&self.zone),
            start: self.start,
            end: self.end,
            strictness: self.strictness,
            others: Box::default(),
        }
    }
}
