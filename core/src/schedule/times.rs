//! The seconds of a day that a schedule names: the product of an hour, a minute and a second set.

/// A set of times of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// Bits 0 to 23; never empty.
    pub(super) hours: u64,
    /// Bits 0 to 59; never empty.
    pub(super) minutes: u64,
    /// Bits 0 to 59; never empty.
    pub(super) seconds: u64,
}

impl Times {
    /// First member at or after a second of the day.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        let (hour, minute, second) = split(from);
        if contains(self.hours, hour) {
            if contains(self.minutes, minute)
                && let Some(second) = next_bit(self.seconds, second)
            {
                return Some(join(hour, minute, second));
            }
            if let Some(minute) = next_bit(self.minutes, minute + 1) {
                return Some(join(hour, minute, self.seconds.trailing_zeros()));
            }
        }
        let hour = next_bit(self.hours, hour + 1)?;
        Some(join(hour, self.minutes.trailing_zeros(), self.seconds.trailing_zeros()))
    }

    /// Last member at or before a second of the day.
    pub(super) fn previous(&self, to: u32) -> Option<u32> {
        let (hour, minute, second) = split(to);
        if contains(self.hours, hour) {
            if contains(self.minutes, minute)
                && let Some(second) = last_bit(below(self.seconds, second + 1))
            {
                return Some(join(hour, minute, second));
            }
            if let Some(minute) = last_bit(below(self.minutes, minute)) {
                return Some(join(hour, minute, self.seconds.ilog2()));
            }
        }
        let hour = last_bit(below(self.hours, hour))?;
        Some(join(hour, self.minutes.ilog2(), self.seconds.ilog2()))
    }

    /// First member of a day.
    pub(super) fn first(&self) -> u32 {
        join(self.hours.trailing_zeros(), self.minutes.trailing_zeros(), self.seconds.trailing_zeros())
    }

    /// Last member of a day.
    pub(super) fn last(&self) -> u32 {
        join(self.hours.ilog2(), self.minutes.ilog2(), self.seconds.ilog2())
    }

    /// Number of members.
    pub(super) fn len(&self) -> u64 {
        count(self.hours) * count(self.minutes) * count(self.seconds)
    }

    /// Number of members before a second of the day.
    pub(super) fn len_before(&self, end: u32) -> u64 {
        let (hour, minute, second) = split(end);
        let mut members = count(below(self.hours, hour)) * count(self.minutes) * count(self.seconds);
        if contains(self.hours, hour) {
            members += count(below(self.minutes, minute)) * count(self.seconds);
            if contains(self.minutes, minute) {
                members += count(below(self.seconds, second));
            }
        }
        members
    }
}

pub(super) fn contains(mask: u64, bit: u32) -> bool {
    mask >> bit & 1 == 1
}

fn next_bit(mask: u64, from: u32) -> Option<u32> {
    let rest = mask.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

fn last_bit(mask: u64) -> Option<u32> {
    mask.checked_ilog2()
}

/// Bits below `bit`.
pub(super) fn below(mask: u64, bit: u32) -> u64 {
    mask & !u64::MAX.checked_shl(bit).unwrap_or(0)
}

fn count(mask: u64) -> u64 {
    mask.count_ones().into()
}

/// Hour, minute and second of a second of the day; the hour of 86,400 is 24.
pub(super) fn split(second: u32) -> (u32, u32, u32) {
    (second / 3_600, second / 60 % 60, second % 60)
}

fn join(hour: u32, minute: u32, second: u32) -> u32 {
    hour * 3_600 + minute * 60 + second
}
