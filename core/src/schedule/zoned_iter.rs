//! Iterates over a pattern's ticks in a time zone, across clock changes.
//!
//! Each span of constant offset *emits* the local times of one interval:
//!
//! | hour | a span begins to emit | and ends |
//! |---|---|---|
//! | running | at its first local second | at its last |
//! | fixed | after what the span before repeated | with what the change at its end skips |
//!
//! So for a fixed hour the intervals partition the wall clock: a skipped time belongs to the span
//! before the gap and comes out shifted by the gap's length; a repeated one belongs to the first pass. The shifted
//! times of a gap overlap with the first regular ones after it, which is why a search checks two
//! neighbouring spans before it answers.

use super::calendar::DAY;
use super::pattern::{HourRule, Pattern};
use super::zone::{OffsetSpan, Zone};

/// More than the largest offset from UTC plus the largest gap, in seconds.
const MAX_OFFSET: i64 = 2 * DAY;

/// First tick after an instant.
pub(super) fn next(pattern: &Pattern, zone: &Zone, after: i64) -> Option<i64> {
    let mut span = zone.offset_span_at(after);
    if emits_into_next(pattern, &span, after) {
        span = zone.offset_span_at(span.start - 1);
    }
    let mut best: Option<i64> = None;
    loop {
        let (opens, closes) = emitted(pattern, &span);
        let from = opens.max(after + 1 + span.offset);
        let found = pattern.next_local(from);
        if let Some(local) = found.filter(|&local| local < closes) {
            let tick = local - span.offset;
            best = Some(best.map_or(tick, |known| known.min(tick)));
        }
        if span.end == i64::MAX || best.is_some_and(|tick| tick < span.end) {
            return best;
        }
        let searched_all = from == opens;
        let resume = match found {
            None if searched_all => return best,
            // Nothing matches before `local` on any clock: skip the spans that end well before it.
            Some(local) if searched_all && best.is_none() => span.end.max(local - MAX_OFFSET),
            _ => span.end,
        };
        span = zone.offset_span_at(resume);
    }
}

/// Last tick at or before an instant.
pub(super) fn previous(pattern: &Pattern, zone: &Zone, until: i64) -> Option<i64> {
    let mut span = zone.offset_span_at(until);
    let mut best: Option<i64> = None;
    loop {
        let (opens, closes) = emitted(pattern, &span);
        let to = (closes - 1).min(until + span.offset);
        let found = pattern.previous_local(to);
        if let Some(local) = found.filter(|&local| local >= opens) {
            let tick = local - span.offset;
            best = Some(best.map_or(tick, |known| known.max(tick)));
        }
        if span.start == i64::MIN || best.is_some_and(|tick| !emits_into_next(pattern, &span, tick)) {
            return best;
        }
        let searched_all = to == closes - 1;
        let resume = match found {
            None if searched_all => return best,
            Some(local) if searched_all && best.is_none() => (span.start - 1).min(local + MAX_OFFSET),
            _ => span.start - 1,
        };
        span = zone.offset_span_at(resume);
    }
}

/// Whether the span before may still emit a tick after `instant`, which lies in `span`.
fn emits_into_next(pattern: &Pattern, span: &OffsetSpan, instant: i64) -> bool {
    pattern.hours == HourRule::Fixed && instant < span.start + span.skipped_at_start()
}

/// The local times that a span emits: from the first up to, not including, the second.
fn emitted(pattern: &Pattern, span: &OffsetSpan) -> (i64, i64) {
    let (mut first, mut last) = (span.offset, span.offset);
    if pattern.hours == HourRule::Fixed {
        first = first.max(span.before);
        last = last.max(span.after);
    }
    (span.start.saturating_add(first), span.end.saturating_add(last))
}
