use super::*;

#[test]
fn moments_are_printed_in_the_zone_with_fractions_only_where_there_are_any() {
    let zone = parse_time_zone("Asia/Kathmandu").unwrap();
    let at = |text: &str| text.parse().unwrap();
    assert_eq!(print(at("2026-06-01T12:00:00Z"), &zone), "2026-06-01T17:45:00+05:45");
    assert_eq!(print(at("2026-06-01T12:00:00.25Z"), &TimeZone::UTC), "2026-06-01T12:00:00.250000+00:00");
}
