//! One expression of one field, whichever spelling it was written in.

use super::field::Field;

/// The values that one expression names. Weekdays count from 0 = Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// `*` and `*/step`.
    Every { step: u16 },
    /// Values, names included; a single value has equal ends. Where the first value is the larger one, the range runs over
    /// the end of its field.
    Range { first: u16, last: u16, step: u16 },
    /// The n-th weekday of the month; row 5 is the last.
    Nth { row: usize, weekday: usize },
    /// The day so many days before the last one of the month.
    FromEnd { back: u16 },
    /// The working day nearest to a day of the month.
    Nearest { day: u16 },
    /// The working day nearest to the day so many days before the last one of the month.
    NearestFromEnd { back: u16 },
}

impl Item {
    pub(super) const fn single(value: u16) -> Self {
        Self::Range { first: value, last: value, step: 1 }
    }

    /// The values that it names in its field, in the order of the range; none for days that differ from month to month.
    pub(super) fn values(self, field: &Field) -> impl Iterator<Item = u16> + Clone + use<> {
        let (min, size) = (field.min, field.max - field.min + 1);
        let (first, length, step) = match self {
            Self::Every { step } => (min, size, step),
            Self::Range { first, last, step } if first <= last => (first, last - first + 1, step),
            Self::Range { first, last, step } => (first, last + size - first + 1, step),
            Self::Nth { .. } | Self::FromEnd { .. } | Self::Nearest { .. } | Self::NearestFromEnd { .. } => {
                (min, 0, 1)
            }
        };
        (0..length).step_by(step.into()).map(move |distance| min + (first - min + distance) % size)
    }
}
