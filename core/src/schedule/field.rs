//! The eight fields that every pattern of a schedule has.

/// One of the eight fields.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) min: u16,
    pub(super) max: u16,
    /// The allowed values, in words.
    pub(super) allowed: &'static str,
}

const fn field(name: &'static str, min: u16, max: u16, allowed: &'static str) -> Field {
    Field { name, min, max, allowed }
}

/// The fields in the order in which they are written.
pub(super) const FIELDS: [Field; 8] = [
    field("second", 0, 59, "0 to 59; *, */n, a-b, a-b/n, lists"),
    field("minute", 0, 59, "0 to 59; *, */n, a-b, a-b/n, lists"),
    field("hour", 0, 23, "0 to 23; *, */n, a-b, a-b/n, lists"),
    field("day_of_week", 0, 6, "0 (Monday) to 6 (Sunday) or mon to sun; *, */n, a-b, a-b/n, lists"),
    field("week", 1, 53, "1 to 53; *, */n, a-b, a-b/n, lists"),
    field("day", 1, 31, "1 to 31, last, 1st_mon to 5th_sun, last_mon to last_sun; *, */n, a-b, a-b/n, lists"),
    field("month", 1, 12, "1 to 12 or jan to dec; *, */n, a-b, a-b/n, lists"),
    field("year", 1970, 9999, "1970 to 9999; *, */n, a-b, a-b/n, lists"),
];

pub(super) const SECOND: usize = 0;
pub(super) const MINUTE: usize = 1;
pub(super) const HOUR: usize = 2;
pub(super) const DAY_OF_WEEK: usize = 3;
pub(super) const WEEK: usize = 4;
pub(super) const DAY: usize = 5;
pub(super) const MONTH: usize = 6;
pub(super) const YEAR: usize = 7;
