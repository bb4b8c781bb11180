use super::*;

#[test]
fn durations_are_read() {
    for (text, millis) in [
        ("0s", 0),
        ("90s", 90_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("250ms", 250),
        ("1d2h3m4s5ms", 93_784_005),
        ("100h", 360_000_000),
    ] {
        assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn other_texts_are_no_durations() {
    for text in [
        "", "5", "s", "-5s", "+5s", "5 m", " 5m", "5m ", "1.5h", "30m1h", "5s5s", "1w", "5M", "1h ago",
        "PT5M", "٥s",
    ] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
    assert_eq!(parse_duration("99999999999999999999s"), None);
    assert_eq!(parse_duration("18446744073709551615d"), None);
}

#[test]
fn durations_round_trip() {
    for text in ["0s", "90ms", "1m30s", "1h30m", "31d", "1d2h3m4s5ms"] {
        assert_eq!(format_duration(parse_duration(text).unwrap()), text);
    }
}
