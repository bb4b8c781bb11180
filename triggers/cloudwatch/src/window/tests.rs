use proptest::prelude::*;

use super::*;

fn at(observed: &str, delay: u32, period: u32) -> String {
    let window = ReadWindow::before(observed.parse().unwrap(), delay, period, 1);
    Timestamp::from_second(window.end).unwrap().to_string()
}

#[test]
fn window_ends_with_newest_complete_datapoint() {
    assert_eq!(at("2026-11-22T12:34:56.789Z", 0, 60), "2026-11-22T12:34:00Z");
    assert_eq!(at("2026-11-22T12:34:00Z", 0, 60), "2026-11-22T12:34:00Z");
    assert_eq!(at("2026-11-22T12:34:56Z", 120, 60), "2026-11-22T12:32:00Z");
    assert_eq!(at("2026-11-22T12:34:56Z", 0, 300), "2026-11-22T12:30:00Z");
    assert_eq!(at("2026-11-22T12:34:56Z", 0, 86_400), "2026-11-22T00:00:00Z");
    assert_eq!(at("2026-11-22T12:34:56Z", 7, 10), "2026-11-22T12:34:40Z");
    assert_eq!(at("1969-12-31T23:59:30Z", 0, 60), "1969-12-31T23:59:00Z");
}

#[test]
fn jobs_with_few_datapoints_share_a_window() {
    let points = |n| ReadWindow::before(Timestamp::UNIX_EPOCH, 0, 60, n).points;
    assert_eq!([1, 2, 3, 4, 8, 9, 18, 19].map(points), [5, 5, 5, 10, 10, 20, 20, 40]);
}

proptest! {
    #[test]
    fn a_window_is_whole_periods_and_reaches_up_to_its_end(
        second in -2_000_000_000_i64..4_000_000_000,
        delay in 0_u32..86_400,
        period in prop::sample::select(vec![1_u32, 5, 10, 20, 30, 60, 300, 420, 3_600, 86_400]),
        n in 1_u32..=100,
    ) {
        let window = ReadWindow::before(Timestamp::from_second(second).unwrap(), delay, period, n);
        let at = second - i64::from(delay);
        prop_assert!(window.end <= at && at < window.end + i64::from(period));
        prop_assert_eq!(window.end.rem_euclid(i64::from(period)), 0);
        prop_assert_eq!(window.end - window.start(), i64::from(window.points) * i64::from(period));
        prop_assert!(window.points >= n + 2);
    }
}
