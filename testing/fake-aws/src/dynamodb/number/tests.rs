use std::cmp::Ordering;

use super::Number;

fn number(text: &str) -> Number {
    Number::read(text).unwrap()
}

#[test]
fn number_is_written_without_redundant_digits() {
    for (text, expected) in [
        ("0", "0"),
        ("-0.00", "0"),
        ("007", "7"),
        ("+12.50", "12.5"),
        ("-.5", "-0.5"),
        ("1e3", "1000"),
        ("1800000000123456789", "1800000000123456789"),
        ("12E-4", "0.0012"),
        ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
    ] {
        assert_eq!(number(text).to_string(), expected, "{text}");
    }
}

#[test]
fn invalid_and_out_of_range_numbers_are_refused() {
    for (text, part) in [
        ("", "cannot be converted"),
        ("ten", "cannot be converted"),
        ("1.2.3", "cannot be converted"),
        ("--1", "cannot be converted"),
        ("1e", "cannot be converted"),
        ("123456789012345678901234567890123456789", "38 significant digits"),
        ("1e126", "overflow"),
        ("1e-131", "underflow"),
    ] {
        let message = Number::read(text).unwrap_err().message;
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn numbers_are_compared_by_value() {
    let ascending = ["-1e100", "-20", "-3", "-0.5", "0", "1e-130", "0.5", "3", "19.99", "20", "100", "1e125"];
    for (index, low) in ascending.iter().enumerate() {
        assert_eq!(number(low).cmp(&number(low)), Ordering::Equal, "{low}");
        for high in &ascending[index + 1..] {
            assert!(number(low) < number(high) && number(high) > number(low), "{low} {high}");
        }
    }
    assert_eq!(number("1.0"), number("1"));
}

#[test]
fn sums_are_exact_or_refused() {
    let sum = |a: &str, b: &str| number(a).plus(number(b)).map(|sum| sum.to_string());
    assert_eq!(sum("0.1", "0.2").as_deref(), Some("0.3"));
    assert_eq!(sum("995", "5").as_deref(), Some("1000"));
    assert_eq!(sum("5", "-5").as_deref(), Some("0"));
    assert_eq!(sum("0", "1e100").as_deref(), Some(number("1e100").to_string().as_str()));
    assert_eq!(sum("1e100", "1"), None, "it has more than 38 digits");
    assert_eq!(number("7").plus(number("9").negated()), Some(number("-2")));
    assert_eq!(Number::from(1_200), number("1200"));
}
