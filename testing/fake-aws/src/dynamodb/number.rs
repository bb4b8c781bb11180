//! DynamoDB's numbers: decimal and exact.

use std::cmp::Ordering;
use std::fmt;

use super::failure::invalid;
use crate::wire::Failure;

/// Maximum number of significant digits.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
const MAX_DIGITS: u32 = 38;
/// Maximum and minimum power of ten of a number's first digit. (Same source.)
const MAX_EXPONENT: i32 = 125;
const MIN_EXPONENT: i32 = -130;

/// A number: a mantissa of at most 38 digits that does not end in 0, times a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    mantissa: i128,
    exponent: i32,
}

impl Number {
    /// Reads a number as it is written in JSON.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let odd = || invalid(format!("The parameter cannot be converted to a numeric value: {text}"));
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (figures, power) = match unsigned.split_once(['e', 'E']) {
            Some((figures, power)) => (figures, power.parse::<i32>().map_err(|_| odd())?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = figures.split_once('.').unwrap_or((figures, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(odd());
        }
        let leading = digits.trim_start_matches('0');
        let significant = leading.trim_end_matches('0');
        if significant.is_empty() {
            return Ok(Self { mantissa: 0, exponent: 0 });
        }
        if significant.len() > MAX_DIGITS as usize {
            return Err(invalid("Attempting to store more than 38 significant digits in a Number"));
        }
        let shift = i32::try_from(leading.len() - significant.len()).map_err(|_| odd())?;
        let places = i32::try_from(fraction.len()).map_err(|_| odd())?;
        let mantissa: i128 = significant.parse().map_err(|_| odd())?;
        let mantissa = if text.starts_with('-') { -mantissa } else { mantissa };
        let exponent = power.saturating_add(shift).saturating_sub(places);
        Self { mantissa, exponent }.bounded()
    }

    /// Fails if a number is beyond DynamoDB's range.
    fn bounded(self) -> Result<Self, Failure> {
        let beyond = |how: &str, size: &str| {
            let message = format!(
                "Number {how}. Attempting to store a number with magnitude {size} than supported range"
            );
            Err(invalid(message))
        };
        match self.magnitude() {
            power if power > MAX_EXPONENT => beyond("overflow", "larger"),
            power if power < MIN_EXPONENT => beyond("underflow", "smaller"),
            _ => Ok(self),
        }
    }

    /// Adds two numbers; none if the sum has too many digits.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        if self.mantissa == 0 || other.mantissa == 0 {
            return Some(if self.mantissa == 0 { other } else { self });
        }
        let least = self.exponent.min(other.exponent);
        let scaled = |one: Self| {
            let zeros = u32::try_from(one.exponent - least).ok()?;
            one.mantissa.checked_mul(10_i128.checked_pow(zeros)?)
        };
        let (mut mantissa, mut exponent) = (scaled(self)?.checked_add(scaled(other)?)?, least);
        while mantissa != 0 && mantissa % 10 == 0 {
            (mantissa, exponent) = (mantissa / 10, exponent + 1);
        }
        let sum = if mantissa == 0 { Self { mantissa, exponent: 0 } } else { Self { mantissa, exponent } };
        (sum.digits() <= MAX_DIGITS).then_some(sum)?.bounded().ok()
    }

    /// Returns the number with the other sign.
    pub(crate) const fn negated(self) -> Self {
        Self { mantissa: -self.mantissa, exponent: self.exponent }
    }

    /// Returns how many bytes of an item it is: about one for two digits.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
    pub(crate) fn size(self) -> usize {
        self.digits().div_ceil(2) as usize + 1 + usize::from(self.mantissa < 0)
    }

    fn digits(self) -> u32 {
        self.mantissa.unsigned_abs().checked_ilog10().map_or(0, |power| power + 1)
    }

    /// Returns the power of ten of the first digit.
    fn magnitude(self) -> i32 {
        self.digits().checked_sub(1).map_or(0, |below| self.exponent.saturating_add_unsigned(below))
    }
}

impl From<usize> for Number {
    fn from(count: usize) -> Self {
        let (mut mantissa, mut exponent) = (i128::try_from(count).unwrap_or(i128::MAX), 0);
        while mantissa != 0 && mantissa % 10 == 0 {
            (mantissa, exponent) = (mantissa / 10, exponent + 1);
        }
        Self { mantissa, exponent }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.mantissa.signum().cmp(&other.mantissa.signum());
        // Both filled up to as many digits, which fit.
        let filled = |one: &Self| one.mantissa.unsigned_abs() * 10_u128.pow(MAX_DIGITS - one.digits());
        let sizes =
            || self.magnitude().cmp(&other.magnitude()).then_with(|| filled(self).cmp(&filled(other)));
        signs.then_with(|| match self.mantissa.signum() {
            0 => Ordering::Equal,
            1 => sizes(),
            _ => sizes().reverse(),
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let below = usize::try_from(-self.exponent).unwrap_or(0);
        if below == 0 {
            let zeros = usize::try_from(self.exponent).unwrap_or(0);
            return write!(f, "{sign}{digits}{}", "0".repeat(zeros));
        }
        let digits = format!("{digits:0>width$}", width = below + 1);
        let (whole, fraction) = digits.split_at(digits.len() - below);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests;
