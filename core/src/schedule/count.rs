//! Counts ticks without visiting them.
//!
//! Between two changes of the clock a pattern's ticks are a product of sets, so a month costs a few bit counts
//! however many ticks it has. Only the hour after a change, where a fixed hour's shifted and regular ticks mix, is visited tick by tick.

use std::collections::HashMap;

use super::calendar::DAY;
use super::compiled_expr::CompiledExpr;
use super::pattern::{HourRule, Pattern, for_each_month, split_day};
use super::times::{below, contains};
use super::zone::Zone;

/// Number of instants in `first..=last` at which at least one entry ticks.
pub(super) fn ticks(entries: &[CompiledExpr], zone: &Zone, first: i64, last: i64) -> u64 {
    if let [CompiledExpr::Rate(rate)] = entries {
        return rate.count(first, last);
    }
    let (mut patterns, mut others): (Vec<&Pattern>, Vec<&CompiledExpr>) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            CompiledExpr::Pattern(pattern) => patterns.push(pattern),
            CompiledExpr::Rate(_) | CompiledExpr::At(_) => others.push(entry),
        }
    }
    let mut ticks = count_patterns(&patterns, zone, first, last);
    for (index, entry) in others.iter().enumerate() {
        let known = |tick: i64| {
            patterns.iter().any(|pattern| super::zoned_iter::next(pattern, zone, tick - 1) == Some(tick))
                || others[..index].iter().any(|other| other.next(zone, tick - 1) == Some(tick))
        };
        let mut after = first - 1;
        while let Some(tick) = entry.next(zone, after).filter(|&tick| tick <= last) {
            ticks += u64::from(!known(tick));
            after = tick;
        }
    }
    ticks
}

fn count_patterns(patterns: &[&Pattern], zone: &Zone, first: i64, last: i64) -> u64 {
    let any_fixed = patterns.iter().any(|pattern| pattern.hours == HourRule::Fixed);
    let mut ticks = 0;
    let mut from = first;
    while !patterns.is_empty() && from <= last {
        let span = zone.offset_span_at(from);
        let mixed = if any_fixed { span.skipped_at_start().abs() } else { 0 };
        let regular_from = span.start.saturating_add(mixed);
        if from < regular_from {
            let to = regular_from.min(last + 1);
            ticks += count_one_by_one(patterns, zone, from, to);
            from = to;
        } else {
            let to = span.end.min(last + 1);
            ticks += count_local(patterns, from + span.offset, to + span.offset);
            from = to;
        }
    }
    ticks
}

/// Number of ticks in `from..to`, counted one by one.
fn count_one_by_one(patterns: &[&Pattern], zone: &Zone, from: i64, to: i64) -> u64 {
    let mut ticks = 0;
    let mut after = from - 1;
    loop {
        let next = patterns.iter().filter_map(|pattern| super::zoned_iter::next(pattern, zone, after)).min();
        let Some(tick) = next.filter(|&tick| tick < to) else { return ticks };
        ticks += 1;
        after = tick;
    }
}

/// Number of local times in `from..to` that at least one pattern names.
fn count_local(patterns: &[&Pattern], from: i64, to: i64) -> u64 {
    if let [pattern] = patterns {
        return pattern.count_local(from, to);
    }
    let ((first, skipped), (last, taken)) = (split_day(from), split_day(to));
    let mut whole_days: HashMap<u64, u64> = HashMap::new();
    let mut ticks = 0;
    for_each_month(first, last + 1, |year, month, span| {
        let days: Vec<u32> = patterns.iter().map(|pattern| pattern.days_of(year, month) & span).collect();
        let mut left = days.iter().fold(0, |all, days| all | days);
        while left != 0 {
            let day = left.trailing_zeros();
            left &= left - 1;
            let active = days.iter().rev().fold(0_u64, |set, days| set << 1 | u64::from(days >> day & 1));
            let number = super::calendar::to_days(super::calendar::Date { year, month, day });
            let begin = if number == first { skipped } else { 0 };
            let end = if number == last { taken } else { WHOLE };
            ticks += if (begin, end) == (0, WHOLE) {
                *whole_days
                    .entry(active)
                    .or_insert_with(|| count_seconds_in_union(patterns, active, 0, WHOLE))
            } else {
                count_seconds_in_union(patterns, active, begin, end)
            };
        }
    });
    ticks
}

/// Seconds of a whole day.
#[expect(clippy::cast_possible_truncation, reason = "86,400")]
const WHOLE: u32 = DAY as u32;

/// Number of seconds of the day in `begin..end` that one of the active patterns names.
fn count_seconds_in_union(patterns: &[&Pattern], active: u64, begin: u32, end: u32) -> u64 {
    let active =
        || patterns.iter().enumerate().filter(|(index, _)| active >> index & 1 == 1).map(|(_, p)| &p.times);
    let mut members = 0;
    for minute in begin / 60..end.div_ceil(60) {
        let named = |times: &&super::times::Times| {
            contains(times.hours, minute / 60) && contains(times.minutes, minute % 60)
        };
        let seconds = active().filter(named).fold(0, |all, times| all | times.seconds);
        let (open, close) = (begin.saturating_sub(minute * 60), (end - minute * 60).min(60));
        members += u64::from((below(seconds, close) & !below(u64::MAX, open)).count_ones());
    }
    members
}
