//! The compiled form of one expression.

use super::pattern::Pattern;
use super::rate::Rate;
use super::zone::Zone;
use super::zoned_iter;

/// A compiled expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CompiledExpr {
    /// A calendar: eight fields, `cron(…)` or a macro.
    Pattern(Pattern),
    /// `rate(…)`.
    Rate(Rate),
    /// `at(…)`, resolved.
    At(i64),
}

impl CompiledExpr {
    /// First tick after an instant.
    pub(super) fn next(&self, zone: &Zone, after: i64) -> Option<i64> {
        match self {
            Self::Pattern(pattern) => zoned_iter::next(pattern, zone, after),
            Self::Rate(rate) => rate.next(after),
            Self::At(instant) => Some(*instant).filter(|&instant| instant > after),
        }
    }

    /// Last tick at or before an instant.
    pub(super) fn previous(&self, zone: &Zone, until: i64) -> Option<i64> {
        match self {
            Self::Pattern(pattern) => zoned_iter::previous(pattern, zone, until),
            Self::Rate(rate) => rate.previous(until),
            Self::At(instant) => Some(*instant).filter(|&instant| instant <= until),
        }
    }
}
