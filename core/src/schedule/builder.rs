//! From the items of the eight fields to one pattern.

use super::days::{DayRule, EVERY_DAY};
use super::field::{DAY, DAY_OF_WEEK, FIELDS, Field, HOUR, MINUTE, MONTH, SECOND, WEEK, YEAR};
use super::item::Item;
use super::pattern::{HourRule, Pattern};
use super::times::Times;
use super::years::{YearRange, Years};

/// Collects the values of each field.
#[derive(Debug)]
pub(super) struct PatternBuilder {
    masks: [u64; 8],
    days: DayRule,
    /// None stands for every year.
    years: Vec<Option<YearRange>>,
    hours: Option<HourRule>,
}

impl PatternBuilder {
    /// Begins with fields that name nothing.
    pub(super) fn new() -> Self {
        Self { masks: [0; 8], days: DayRule::none(), years: Vec::new(), hours: None }
    }

    /// Adds the values of one item of a field.
    pub(super) fn add(&mut self, index: usize, item: Item) {
        if index == HOUR {
            let alone = self.hours.is_none() && matches!(item, Item::Every { .. });
            self.hours = Some(if alone { HourRule::Running } else { HourRule::Fixed });
        }
        let Field { min, max, .. } = FIELDS[index];
        match item {
            Item::Nth { row, weekday } => self.days.nth[row] |= 1 << weekday,
            Item::FromEnd { back } => self.days.from_end |= 1 << back,
            Item::Nearest { day } => self.days.nearest |= 1 << day,
            Item::NearestFromEnd { back } => self.days.nearest_from_end |= 1 << back,
            Item::Every { step: 1 } if index == YEAR => self.years.push(None),
            Item::Every { step } if index == YEAR => {
                self.years.push(Some(YearRange { first: min, last: max, step }));
            }
            Item::Range { first, last, step } if index == YEAR => {
                self.years.push(Some(YearRange { first, last, step }));
            }
            Item::Every { .. } | Item::Range { .. } => {
                self.masks[index] |= item.values(&FIELDS[index]).fold(0, |mask, value| mask | 1 << value);
            }
        }
    }

    /// The pattern that matches where every field does.
    pub(super) fn finish(self) -> Pattern {
        let Self { masks, mut days, years, hours } = self;
        #[expect(clippy::cast_possible_truncation, reason = "each field's values fit its mask")]
        {
            days.of_month = masks[DAY] as u32;
            days.weekdays = masks[DAY_OF_WEEK] as u8;
        }
        days.weeks = masks[WEEK];
        if days.of_month == EVERY_DAY {
            (days.nth, days.from_end, days.nearest, days.nearest_from_end) = ([0; 6], 0, 0, 0);
        }
        let every_year = years.iter().any(Option::is_none);
        Pattern {
            times: Times { hours: masks[HOUR], minutes: masks[MINUTE], seconds: masks[SECOND] },
            days,
            #[expect(clippy::cast_possible_truncation, reason = "bits 1 to 12")]
            months: masks[MONTH] as u16,
            years: if every_year {
                Years::EVERY
            } else {
                Years::from_ranges(years.into_iter().flatten().collect())
            },
            hours: hours.unwrap_or(HourRule::Fixed),
        }
    }
}
