//! Descriptions of schedules in words.

use super::{schedule, union};

#[test]
fn schedules_describe_themselves_in_words() {
    let expressions = [
        "*",
        "0 *",
        "0 */5",
        "*/10",
        "5",
        "0 0 0",
        "0 30 2 mon-fri",
        "0 30 2 0,2,4",
        "0 0,30 8-18 mon-fri",
        "15 0 6,18",
        "* */5",
        "0 0 */6",
        "0 0 *",
        "0 30 6 * * 1st_mon",
        "0 0 12 * * last",
        "0 0 0 * * 1,15,last_fri 1-3,dec",
        "0 0 0 fri * 13",
        "0 0 9 mon 1-53/2",
        "0 0 0 * * 29 2 2028-2040/4",
        "0 10-50/20 *",
        "30 15 12 0-6 * 2nd_wed 1-12/3 2027",
        "cron(15 10 ? * 6L 2026-2027)",
        "cron(0 9 ? * 2-6 *)",
        "cron(0 0 LW * ? *)",
        "cron(0 0 15 * MON)",
        "cron(0/15 20-2 * * ? *)",
        "cron(*/15 * * * ? *)",
        "cron(0 9 * * 1-5)",
        "cron(0 9 * * 5-7)",
        "cron(0 9 * * */2)",
        "cron(0 9 13 * 5)",
        "cron(0 9 */2 * MON)",
        "cron(0 9 1-31 * MON)",
        "cron(0 */24 * * *)",
        "cron(*/45 * * * *)",
        "cron(*/7 8-18/2 * * *)",
        "cron(0 9 L-3 * ? *)",
        "cron(0 9 15W * ? 2026)",
        "cron(0 9 L-2W 1/3 ? 2026/2)",
        "cron(0 9 1,15 * 2#1)",
        "0 0-59 8-17",
        "0 0 */5",
        "0 0/7",
        "rate(1 minute)",
        "rate(1 days)",
        "rate(90 minutes)",
        "at(2027-03-01T09:00:00)",
        "0 0 0 * */2 */3 */2 */4",
        "@weekly",
        "@hourly",
    ];
    let described: Vec<String> = expressions
        .iter()
        .map(|text| format!("{text} => {}", schedule(text, "Europe/Berlin").unwrap().describe()))
        .collect();
    insta::assert_snapshot!(described.join("\n"));
}

#[test]
fn a_union_names_its_zone_once() {
    let both = union(&["0 0 9 mon", "@monthly"], "america/new_york");
    assert_eq!(both.describe(), "At 09:00 on Monday; At 00:00 on day 1 of the month, America/New_York");
}

#[test]
fn six_times_of_day_are_listed_and_more_or_a_range_are_summarized() {
    for (text, described) in [
        ("0 0,30 6,12,18", "At 06:00, 06:30, 12:00, 12:30, 18:00 and 18:30 every day, UTC"),
        ("0 0,30 6,12,18,23", "At minutes 0 and 30 in hours 6, 12, 18 and 23 every day, UTC"),
        ("0 0 9-11", "At minute 0 in hours 9 to 11, UTC"),
    ] {
        assert_eq!(schedule(text, "UTC").unwrap().describe(), described, "{text}");
    }
}

#[test]
fn ordinals_end_as_in_english() {
    for (step, ordinal) in [
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (22, "22nd"),
        (101, "101st"),
        (111, "111th"),
    ] {
        let schedule = schedule(&format!("0 0 0 * * * * */{step}"), "UTC").unwrap();
        assert_eq!(schedule.describe(), format!("At 00:00 in every {ordinal} year, UTC"));
    }
}

#[test]
fn a_rate_has_its_unit_in_the_number_of_its_count() {
    for (text, words) in [
        ("rate(5 minute)", "Every 5 minutes"),
        ("rate(5 Minutes)", "Every 5 minutes"),
        ("rate(1 HOURS)", "Every hour"),
        ("rate(01 day)", "Every day"),
    ] {
        let described = schedule(text, "UTC").unwrap().describe();
        assert_eq!(described, format!("{words}, counted from 1970-01-01T00:00:00Z, UTC"), "{text}");
    }
}
