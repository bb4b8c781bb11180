//! The days of a month that a schedule names, as one bit mask per month.

use super::calendar::{Date, iso_week, month_length, to_days, weekday};

/// All days of a month: bits 1 to 31.
pub(super) const EVERY_DAY: u32 = 0xFFFF_FFFE;
/// All weekdays: bits 0 (Monday) to 6 (Sunday).
pub(super) const EVERY_WEEKDAY: u8 = 0x7F;
/// All ISO weeks: bits 1 to 53.
pub(super) const EVERY_WEEK: u64 = ((1 << 54) - 1) & !1;

/// The `last` row of [`DayRule::nth`]; rows 0 to 4 are first to fifth.
pub(super) const LAST: usize = 5;

/// Names days by number, by weekday and by ISO week.
///
/// A day matches when it is in the *numbered* set (`of_month`, `from_end`, `nearest`, `nearest_from_end` or
/// `nth`) and in the *weekly* set (`weekdays` and `weeks`); with `either`, when it is in one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DayRule {
    /// Bits 1 to 31: the day of that number.
    pub(super) of_month: u32,
    /// Bit n: the day n days before the last one.
    pub(super) from_end: u32,
    /// Bit n: the working day nearest to day n, never leaving the month.
    pub(super) nearest: u32,
    /// Bit n: the working day nearest to the day n days before the last one.
    pub(super) nearest_from_end: u32,
    /// Row k, bit w: the k-th such weekday of the month.
    pub(super) nth: [u8; 6],
    /// Bits 0 (Monday) to 6 (Sunday).
    pub(super) weekdays: u8,
    /// Bits 1 to 53.
    pub(super) weeks: u64,
    /// Whether one of both sets is enough, as in Unix cron.
    pub(super) either: bool,
}

impl DayRule {
    /// A rule whose numbered set is still empty and whose weekly set is everything.
    pub(super) const fn none() -> Self {
        Self {
            of_month: 0,
            from_end: 0,
            nearest: 0,
            nearest_from_end: 0,
            nth: [0; 6],
            weekdays: EVERY_WEEKDAY,
            weeks: EVERY_WEEK,
            either: false,
        }
    }

    /// Whether both a day number and a weekday narrow this rule.
    pub(super) fn narrows_by_number_and_weekday(&self) -> bool {
        self.of_month != EVERY_DAY && self.weekdays != EVERY_WEEKDAY
    }

    /// Days of the month that match: bits 1 to 31.
    pub(super) fn matching(&self, year: i32, month: u32) -> u32 {
        let length = month_length(year, month);
        let existing = mask_up_to(length);
        let unrestricted_weekly = self.weekdays == EVERY_WEEKDAY && self.weeks == EVERY_WEEK;
        if self.of_month == EVERY_DAY && unrestricted_weekly {
            return existing;
        }
        let first_day = to_days(Date { year, month, day: 1 });
        let first = weekday(first_day);
        let numbered = self.numbered(length, first);
        let mut weekly = EVERY_DAY;
        if self.weekdays != EVERY_WEEKDAY {
            weekly = every_week(self.weekdays, first);
        }
        if self.weeks != EVERY_WEEK {
            weekly &= self.in_weeks(first_day, first);
        }
        existing & if self.either { numbered | weekly } else { numbered & weekly }
    }

    fn numbered(&self, length: u32, first: u32) -> u32 {
        let mut days = self.of_month;
        if days == EVERY_DAY {
            return days;
        }
        for back in bits(self.from_end) {
            days |= bit_if(back < length, length.wrapping_sub(back));
        }
        for day in bits(self.nearest) {
            days |= nearest_working_day(day, length, first);
        }
        for back in bits(self.nearest_from_end) {
            days |= nearest_working_day(length.saturating_sub(back), length, first);
        }
        if self.nth != [0; 6] {
            for (row, &set) in self.nth[..LAST].iter().enumerate() {
                days |= (every_week(set, first) >> 1 & 0x7F) << (1 + 7 * row);
            }
            let start = length - 6;
            days |= every_week(self.nth[LAST], first) & (0x7F << start);
        }
        days
    }

    fn in_weeks(&self, first_day: i64, first: u32) -> u32 {
        let mut days = 0;
        // A row runs from Monday to Sunday; the first one may begin before day 1.
        for row in 0..6_u32 {
            if self.weeks >> iso_week(first_day + i64::from(7 * row)) & 1 == 1 {
                let seven = 0x7F_u64 << (7 * row + 1);
                days |= (seven >> first) & u64::from(EVERY_DAY);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits above")]
        let days = days as u32;
        days
    }
}

/// Bits 1 to `day`.
fn mask_up_to(day: u32) -> u32 {
    EVERY_DAY & (u32::MAX >> (31 - day))
}

fn bit_if(condition: bool, day: u32) -> u32 {
    if condition { 1 << day } else { 0 }
}

/// Days 1 to 31 whose weekday is in `weekdays`, in a month that begins on weekday `first`.
fn every_week(weekdays: u8, first: u32) -> u32 {
    // Bits 0, 7, 14, 21 and 28: a factor that repeats seven bits in each of five weeks.
    const WEEKS: u64 = 0x1020_4081;
    let from_first = (u64::from(weekdays) * WEEKS) >> first & 0x7F;
    let repeated = from_first * WEEKS;
    #[expect(clippy::cast_possible_truncation, reason = "masked to bits 1 to 31")]
    let days = ((repeated << 1) & u64::from(EVERY_DAY)) as u32;
    days
}

/// The working day nearest to `day` within the month as a bit; none if the month lacks that day.
fn nearest_working_day(day: u32, length: u32, first: u32) -> u32 {
    if day == 0 || day > length {
        return 0;
    }
    let nearest = match (first + day - 1) % 7 {
        5 if day == 1 => 3,
        5 => day - 1,
        6 if day == length => day - 2,
        6 => day + 1,
        _ => day,
    };
    1 << nearest
}

/// Positions of the set bits, ascending.
pub(super) fn bits(mask: u32) -> impl Iterator<Item = u32> {
    (0..32).filter(move |&bit| mask >> bit & 1 == 1)
}
