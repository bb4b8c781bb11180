//! Numbers as the eight fields write them: of any length, in any script's decimal digits.

use std::cmp::Ordering;
use std::fmt;

/// The zeros of the Unicode decimal digits beyond ASCII; nine digits follow each.
const ZEROS: [u32; 65] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0,
    0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30,
    0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0,
    0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC,
    0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0,
];

/// Value of a decimal digit of any script.
fn digit(character: char) -> Option<u32> {
    if character.is_ascii() {
        return character.to_digit(10);
    }
    let code = u32::from(character);
    let zero = ZEROS.partition_point(|&zero| zero <= code).checked_sub(1)?;
    Some(code - ZEROS[zero]).filter(|&value| value < 10)
}

/// A whole number of any length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    text: &'a str,
    /// `i128::MAX` when larger.
    value: i128,
}

impl<'a> Number<'a> {
    /// Splits leading digits off a text.
    pub(super) fn take(text: &'a str) -> Option<(Self, &'a str)> {
        let mut value = 0_i128;
        let mut length = 0;
        for character in text.chars() {
            let Some(digit) = digit(character) else { break };
            value = value.saturating_mul(10).saturating_add(digit.into());
            length += character.len_utf8();
        }
        let (digits, rest) = text.split_at(length);
        (length > 0).then_some((Self { text: digits, value }, rest))
    }

    /// The value, or `i128::MAX` when it is larger.
    pub(super) fn value(&self) -> i128 {
        self.value
    }

    /// Whether only ASCII digits were used.
    pub(super) fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    fn digits(&self) -> String {
        let digits = self.text.chars().filter_map(|c| char::from_digit(digit(c)?, 10));
        let significant: String = digits.skip_while(|&digit| digit == '0').collect();
        if significant.is_empty() { "0".to_owned() } else { significant }
    }

    /// Compares by value, also beyond `i128`.
    pub(super) fn compare(&self, other: &Number<'_>) -> Ordering {
        if self.value != other.value || self.value != i128::MAX {
            return self.value.cmp(&other.value);
        }
        let (own, other) = (self.digits(), other.digits());
        own.len().cmp(&other.len()).then_with(|| own.cmp(&other))
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits())
    }
}
