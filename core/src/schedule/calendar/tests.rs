use jiff::civil;

use super::*;

#[test]
fn every_day_of_four_centuries_agrees_with_jiff() {
    let epoch = civil::date(1970, 1, 1);
    let mut date = civil::date(1968, 1, 1);
    while date.year() < 2401 {
        let days = i64::from((date - epoch).get_days());
        let unsigned = |value: i8| u32::from(value.unsigned_abs());
        let own = from_days(days);
        let same =
            Date { year: date.year().into(), month: unsigned(date.month()), day: unsigned(date.day()) };
        assert_eq!(own, same);
        assert_eq!(to_days(own), days);
        assert_eq!(weekday(days), unsigned(date.weekday().to_monday_zero_offset()));
        assert_eq!(iso_week(days), unsigned(date.iso_week_date().week()));
        assert_eq!(month_length(own.year, own.month), unsigned(date.days_in_month()));
        date = date.tomorrow().unwrap();
    }
}

#[test]
fn years_of_one_class_have_equal_weeks_on_every_day() {
    let mut weeks_of_class: [Option<Vec<u32>>; 28] = [const { None }; 28];
    for year in 1970..2400 {
        let first = to_days(Date { year, month: 1, day: 1 });
        let length = 365 + i64::from(is_leap(year));
        let weeks: Vec<u32> = (first..first + length).map(|day| iso_week(day) * 10 + weekday(day)).collect();
        let known = weeks_of_class[year_class(year) as usize].get_or_insert_with(|| weeks.clone());
        assert_eq!(*known, weeks, "{year}");
    }
}

#[test]
fn year_classes_are_those_of_every_year_that_a_schedule_can_name() {
    let occurring = (FIRST_YEAR..=LAST_YEAR).fold(0, |classes: u32, year| classes | 1 << year_class(year));
    assert_eq!(*YEAR_CLASSES, occurring);
}
