//! The years that a schedule names.

use super::calendar::{FIRST_YEAR, LAST_YEAR};

/// A progression of years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct YearRange {
    pub(super) first: u16,
    /// At least `first`.
    pub(super) last: u16,
    /// At least 1.
    pub(super) step: u16,
}

/// A union of progressions, or every year from 1970 to 9999.
///
/// A bit set of 8,030 years would be a kilobyte a schedule; nearly every schedule says `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Years(Option<Box<[YearRange]>>);

impl Years {
    pub(super) const EVERY: Self = Self(None);

    pub(super) fn from_ranges(ranges: Vec<YearRange>) -> Self {
        Self(Some(ranges.into_boxed_slice()))
    }

    /// First named year at or after `from`.
    pub(super) fn next(&self, from: i32) -> Option<i32> {
        match &self.0 {
            None => (from <= LAST_YEAR).then_some(from.max(FIRST_YEAR)),
            Some(ranges) => ranges.iter().filter_map(|range| range.next(from)).min(),
        }
    }

    /// Last named year at or before `to`.
    pub(super) fn previous(&self, to: i32) -> Option<i32> {
        match &self.0 {
            None => (to >= FIRST_YEAR).then_some(to.min(LAST_YEAR)),
            Some(ranges) => ranges.iter().filter_map(|range| range.previous(to)).max(),
        }
    }

    pub(super) fn contains(&self, year: i32) -> bool {
        self.next(year) == Some(year)
    }
}

impl YearRange {
    fn next(&self, from: i32) -> Option<i32> {
        let (first, last, step) = self.parts();
        let year = first + ((from - first).max(0) + step - 1) / step * step;
        (year <= last).then_some(year)
    }

    fn previous(&self, to: i32) -> Option<i32> {
        let (first, last, step) = self.parts();
        (to >= first).then(|| first + (to.min(last) - first) / step * step)
    }

    fn parts(&self) -> (i32, i32, i32) {
        (self.first.into(), self.last.into(), self.step.into())
    }
}
