//! A calendar pattern on a clock without time zone: the next, the previous and the number of matching times.
//!
//! Times here are *local*: seconds since 1970-01-01T00:00:00 on the wall clock. `zoned_iter` maps them
//! to instants.

use super::calendar::{DAY, Date, FIRST_YEAR, LAST_YEAR, YEAR_CLASSES, from_days, to_days, year_class};
use super::days::DayRule;
use super::times::Times;
use super::years::Years;

/// How a local time is handled that a clock change skips or repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HourRule {
    /// The hour is fixed: once a day, shifted out of a gap, at the first pass of a fold.
    Fixed,
    /// The hour is `*` or `*/n`: at every real instant whose local time matches.
    Running,
}

/// One compiled calendar expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) times: Times,
    pub(super) days: DayRule,
    /// Bits 1 to 12.
    pub(super) months: u16,
    pub(super) years: Years,
    pub(super) hours: HourRule,
}

impl Pattern {
    /// First matching local time at or after `from`.
    pub(super) fn next_local(&self, from: i64) -> Option<i64> {
        let (day, second) = split_day(from);
        let found = self.next_day(day)?;
        if found > day {
            return Some(found * DAY + i64::from(self.times.first()));
        }
        if let Some(second) = self.times.next(second) {
            return Some(found * DAY + i64::from(second));
        }
        Some(self.next_day(day + 1)? * DAY + i64::from(self.times.first()))
    }

    /// Last matching local time at or before `to`.
    pub(super) fn previous_local(&self, to: i64) -> Option<i64> {
        let (day, second) = split_day(to);
        let found = self.previous_day(day)?;
        if found < day {
            return Some(found * DAY + i64::from(self.times.last()));
        }
        if let Some(second) = self.times.previous(second) {
            return Some(found * DAY + i64::from(second));
        }
        Some(self.previous_day(day - 1)? * DAY + i64::from(self.times.last()))
    }

    /// Number of matching local times in `from..to`.
    pub(super) fn count_local(&self, from: i64, to: i64) -> u64 {
        if to <= from {
            return 0;
        }
        let ((first, skipped), (last, taken)) = (split_day(from), split_day(to));
        let mut ticks = self.count_days(first, last) * self.times.len();
        if self.matches_day(last) {
            ticks += self.times.len_before(taken);
        }
        if self.matches_day(first) {
            ticks -= self.times.len_before(skipped);
        }
        ticks
    }

    /// Matching days of a month: bits 1 to 31.
    pub(super) fn days_of(&self, year: i32, month: u32) -> u32 {
        let named = self.months >> month & 1 == 1 && self.years.contains(year);
        if named { self.days.matching(year, month) } else { 0 }
    }

    fn matches_day(&self, day: i64) -> bool {
        let date = from_days(day);
        self.days_of(date.year, date.month) >> date.day & 1 == 1
    }

    /// First matching day at or after `from`.
    fn next_day(&self, from: i64) -> Option<i64> {
        let start = from_days(from.max(to_days(Date { year: FIRST_YEAR, month: 1, day: 1 })));
        let mut barren = 0_u32;
        let mut year = self.years.next(start.year)?;
        while barren != *YEAR_CLASSES {
            let class = year_class(year);
            if barren >> class & 1 == 0 {
                let whole = year > start.year;
                let (month, day) = if whole { (1, 1) } else { (start.month, start.day) };
                if let Some(found) = self.first_day_of_year(year, month, day) {
                    return Some(found);
                }
                barren |= u32::from(whole) << class;
            }
            year = self.years.next(year + 1)?;
        }
        None
    }

    fn first_day_of_year(&self, year: i32, from_month: u32, from_day: u32) -> Option<i64> {
        let mut months = u32::from(self.months) >> from_month << from_month;
        while months != 0 {
            let month = months.trailing_zeros();
            months &= months - 1;
            let mut days = self.days.matching(year, month);
            if month == from_month {
                days = days >> from_day << from_day;
            }
            if days != 0 {
                return Some(to_days(Date { year, month, day: days.trailing_zeros() }));
            }
        }
        None
    }

    /// Last matching day at or before `to`.
    fn previous_day(&self, to: i64) -> Option<i64> {
        let start = from_days(to.min(to_days(Date { year: LAST_YEAR, month: 12, day: 31 })));
        let mut barren = 0_u32;
        let mut year = self.years.previous(start.year)?;
        while barren != *YEAR_CLASSES {
            let class = year_class(year);
            if barren >> class & 1 == 0 {
                let whole = year < start.year;
                let (month, day) = if whole { (12, 31) } else { (start.month, start.day) };
                if let Some(found) = self.last_day_of_year(year, month, day) {
                    return Some(found);
                }
                barren |= u32::from(whole) << class;
            }
            year = self.years.previous(year - 1)?;
        }
        None
    }

    fn last_day_of_year(&self, year: i32, to_month: u32, to_day: u32) -> Option<i64> {
        let mut months = u32::from(self.months) & ((2 << to_month) - 1);
        while let Some(month) = months.checked_ilog2() {
            months &= !(1 << month);
            let mut days = self.days.matching(year, month);
            if month == to_month {
                days &= u32::MAX >> (31 - to_day);
            }
            if let Some(day) = days.checked_ilog2() {
                return Some(to_days(Date { year, month, day }));
            }
        }
        None
    }

    /// Number of matching days in `from..to`.
    fn count_days(&self, from: i64, to: i64) -> u64 {
        let mut days = 0;
        for_each_month(from, to, |year, month, span| {
            days += u64::from((self.days_of(year, month) & span).count_ones());
        });
        days
    }
}

/// Calls back once for each month that `from..to` (day numbers) touches, with the days of it that lie inside.
pub(super) fn for_each_month(from: i64, to: i64, mut visit: impl FnMut(i32, u32, u32)) {
    if to <= from {
        return;
    }
    let (first, last) = (from_days(from), from_days(to - 1));
    let (mut year, mut month) = (first.year, first.month);
    loop {
        let mut span = super::days::EVERY_DAY;
        if (year, month) == (first.year, first.month) {
            span &= u32::MAX << first.day;
        }
        let at_end = (year, month) == (last.year, last.month);
        if at_end {
            span &= u32::MAX >> (31 - last.day);
        }
        visit(year, month, span);
        if at_end {
            return;
        }
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
}

/// Day number and second of the day.
#[expect(clippy::cast_possible_truncation, reason = "a remainder by 86,400")]
pub(super) fn split_day(local: i64) -> (i64, u32) {
    (local.div_euclid(DAY), local.rem_euclid(DAY) as u32)
}
