//! Puts a pattern's local times on the real time line, whatever the clock does.
//!
//! Each stretch of constant offset *emits* the local times of one interval:
//!
//! | hour | a stretch begins to emit | and ends |
//! |---|---|---|
//! | running | at its first local second | at its last |
//! | fixed | after what the stretch before repeated | with what the change at its end skips |
//!
//! So for a fixed hour the intervals partition the wall clock: a skipped time belongs to the stretch
//! before the gap and comes out shifted by the gap's length; a repeated one belongs to the first pass. The shifted
//! times of a gap overlap with the first regular ones after it, which is why a search looks at two
//! neighbouring stretches before it answers.

use super::calendar::DAY;
use super::pattern::{HourRule, Pattern};
use super::zone::{Stretch, Zone};

/// Farther than any clock is from UTC, with a gap on top.
const FARTHEST: i64 = 2 * DAY;

/// First tick after an instant.
pub(super) fn next(pattern: &Pattern, zone: &Zone, after: i64) -> Option<i64> {
    let mut stretch = zone.stretch_at(after);
    if emits_into_next(pattern, &stretch, after) {
        stretch = zone.stretch_at(stretch.start - 1);
    }
    let mut best: Option<i64> = None;
    loop {
        let (opens, closes) = emitted(pattern, &stretch);
        let from = opens.max(after + 1 + stretch.offset);
        let found = pattern.next_local(from);
        if let Some(local) = found.filter(|&local| local < closes) {
            let tick = local - stretch.offset;
            best = Some(best.map_or(tick, |known| known.min(tick)));
        }
        if stretch.end == i64::MAX || best.is_some_and(|tick| tick < stretch.end) {
            return best;
        }
        let searched_all = from == opens;
        let resume = match found {
            None if searched_all => return best,
            // Nothing matches before `local` on any clock: skip the stretches that end well before it.
            Some(local) if searched_all && best.is_none() => stretch.end.max(local - FARTHEST),
            _ => stretch.end,
        };
        stretch = zone.stretch_at(resume);
    }
}

/// Last tick at or before an instant.
pub(super) fn previous(pattern: &Pattern, zone: &Zone, until: i64) -> Option<i64> {
    let mut stretch = zone.stretch_at(until);
    let mut best: Option<i64> = None;
    loop {
        let (opens, closes) = emitted(pattern, &stretch);
        let to = (closes - 1).min(until + stretch.offset);
        let found = pattern.previous_local(to);
        if let Some(local) = found.filter(|&local| local >= opens) {
            let tick = local - stretch.offset;
            best = Some(best.map_or(tick, |known| known.max(tick)));
        }
        if stretch.start == i64::MIN || best.is_some_and(|tick| !emits_into_next(pattern, &stretch, tick)) {
            return best;
        }
        let searched_all = to == closes - 1;
        let resume = match found {
            None if searched_all => return best,
            Some(local) if searched_all && best.is_none() => (stretch.start - 1).min(local + FARTHEST),
            _ => stretch.start - 1,
        };
        stretch = zone.stretch_at(resume);
    }
}

/// Whether the stretch before may still emit a tick after `instant`, which lies in `stretch`.
fn emits_into_next(pattern: &Pattern, stretch: &Stretch, instant: i64) -> bool {
    pattern.hours == HourRule::Fixed
        && stretch.start != i64::MIN
        && instant < stretch.start + stretch.skipped_at_start()
}

/// The local times that a stretch emits: from the first up to, not including, the second.
fn emitted(pattern: &Pattern, stretch: &Stretch) -> (i64, i64) {
    let (mut first, mut last) = (stretch.offset, stretch.offset);
    if pattern.hours == HourRule::Fixed {
        first = first.max(stretch.before);
        last = last.max(stretch.after);
    }
    (stretch.start.saturating_add(first), stretch.end.saturating_add(last))
}
