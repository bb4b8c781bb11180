//! Warnings of schedules.

use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec};

use super::{instant, next, schedule, union};

fn warnings(text: &str, zone: &str) -> Vec<String> {
    schedule(text, zone).unwrap().warnings(instant("2027-01-01T00:00:00Z"))
}

#[test]
fn a_star_for_the_second_gives_a_warning() {
    assert_eq!(
        warnings("* */5", "UTC"),
        ["`* */5` fires 60 times in each 5th minute (did you mean `0 */5`?)"]
    );
    assert_eq!(
        warnings("* 30 2", "UTC"),
        ["`* 30 2` fires 60 times in each minute that it names (did you mean `0 30 2`?)"]
    );
    assert_eq!(
        warnings("* * 2", "UTC"),
        ["`* * 2` fires 3,600 times in each hour that it names (did you mean `0 0 2`?)"]
    );
    assert_eq!(warnings("cron(* 2 * * ? *)", "UTC").len(), 1);
    for meant in ["*", "* *", "* * */2", "*/10", "0 */5", "0 0 *", "cron(* * * * ? *)"] {
        assert!(warnings(meant, "UTC").is_empty(), "{meant}");
    }
}

#[test]
fn a_coming_gap_gives_a_warning_with_date_and_effect() {
    assert_eq!(
        warnings("0 30 2", "Europe/Berlin"),
        [
            "02:30 does not exist on 2027-03-28 in Europe/Berlin, where the clock skips it: the tick comes at 03:30"
        ]
    );
    assert!(warnings("0 30 2", "UTC").is_empty());
    assert!(warnings("0 30 4", "Europe/Berlin").is_empty());
    assert!(warnings("0 30 *", "Europe/Berlin").is_empty());
    assert!(warnings("0 30 2 mon", "Europe/Berlin").is_empty(), "clocks change on Sundays there");
    assert_eq!(warnings("0 0 2", "Europe/Berlin").len(), 1, "the first second that is skipped");
    for text in ["0 30 1", "59 59 1", "0 0 3"] {
        assert!(warnings(text, "Europe/Berlin").is_empty(), "{text}");
        assert!(warnings(text, "America/New_York").is_empty(), "{text}");
    }
    assert_eq!(warnings("0 30 2", "America/New_York").len(), 1);
}

#[test]
fn a_gap_gives_a_warning_from_396_days_before_it() {
    let once = schedule("0 30 2 * * * * 2027", "Europe/Berlin").unwrap();
    assert!(once.warnings(instant("2026-02-25T01:00:00Z")).is_empty());
    assert_eq!(once.warnings(instant("2026-02-25T01:00:01Z")).len(), 1);
}

#[test]
fn combined_day_fields_give_a_note() {
    assert_eq!(
        warnings("0 0 0 fri * 13", "UTC"),
        ["`0 0 0 fri * 13` sets day and day_of_week: both must match, unlike in Unix cron"]
    );
    assert_eq!(
        warnings("cron(0 0 13 * FRI)", "UTC"),
        ["`cron(0 0 13 * FRI)` sets both day fields: either one is enough, as in Unix cron"]
    );
    assert_eq!(
        warnings("cron(0 0 */2 * MON)", "UTC"),
        [
            "`cron(0 0 */2 * MON)` sets both day fields: one begins with `*`, so both must match, as in Unix cron"
        ]
    );
}

#[test]
fn syntax_of_other_crons_gives_a_warning() {
    assert_eq!(
        warnings("0 0 9 1-5", "UTC"),
        ["weekdays count from 0 = Monday here: `1-5` is Tuesday to Saturday"]
    );
    assert_eq!(
        warnings("0 0 1 mon *", "UTC"),
        ["`0 0 1 mon *` is read as second, minute, hour, weekday and ISO week"],
        "no crontab has a month called mon"
    );
}

#[test]
fn a_bare_crontab_line_gives_the_equivalent_expression() {
    for line in ["0 9 1 1 1-5", "0 9 * * 1-5", "*/5 * * * 1", "0 9 * * 1,3"] {
        let warnings = warnings(line, "UTC");
        assert!(warnings[0].ends_with(&format!("; for Unix cron write `cron({line})`")), "{warnings:?}");
    }
    let advised = schedule("cron(0 9 * * 1-5)", "UTC").unwrap();
    assert_eq!(advised.describe(), "At 09:00 on Monday to Friday, UTC");
}

#[test]
fn a_parsable_quartz_or_spring_line_gives_a_warning() {
    for (line, read_as, written) in [
        (
            "0 0 4 1 * *",
            "second, minute, hour, weekday, ISO week and day",
            "Quartz or Spring write `cron(0 4 1 * *)`",
        ),
        (
            "0 0 2 */2 * *",
            "second, minute, hour, weekday, ISO week and day",
            "Quartz or Spring write `cron(0 2 */2 * *)`",
        ),
        (
            "0 0 0 * * 1",
            "second, minute, hour, weekday, ISO week and day",
            "Quartz or Spring write `cron(0 0 * * 1)`",
        ),
        (
            "0 0 4 */2 * * *",
            "second, minute, hour, weekday, ISO week, day and month",
            "Quartz write `cron(0 4 */2 * ? *)`",
        ),
        (
            "0 0 4 * * 1 *",
            "second, minute, hour, weekday, ISO week, day and month",
            "Quartz write `cron(0 4 ? * 1 *)`",
        ),
        (
            "0 0 4 1 * * *",
            "second, minute, hour, weekday, ISO week, day and month",
            "Quartz write `cron(0 4 1 * ? *)`",
        ),
    ] {
        let expected = format!("`{line}` is read as {read_as}; for {written}");
        assert_eq!(warnings(line, "UTC").first(), Some(&expected));
    }
    // `cron(…)` has no seconds, and the numbers of weekdays differ between Quartz and Spring.
    for (line, last) in [("30 0 4 * * 1", "day"), ("*/10 * * * * 1", "day"), ("30 0 4 * * 1 *", "month")] {
        let warnings = warnings(line, "UTC");
        let expected = format!("`{line}` is read as second, minute, hour, weekday, ISO week");
        assert!(
            warnings[0].starts_with(&expected) && warnings[0].ends_with(&format!(" and {last}")),
            "{warnings:?}"
        );
    }
    let refused = schedule("0 0 0 1 1 * 2030", "UTC").unwrap_err().explained();
    assert!(refused.contains("this looks like a line of Quartz: write `cron(0 0 1 1 ? 2030)`"), "{refused}");
    for same in ["30 */5 * * * *", "0 */5 * * * * *", "0 0 0 * * 1 1", "30 0 0 * * 13", "30 0 4 * * last"] {
        assert!(warnings(same, "UTC").is_empty(), "{same}: {:?}", warnings(same, "UTC"));
    }
    for same in ["0 */5 * * * *", "0 0 0 * * 13", "*/10 * * * * *", "0 0 12 * * last", "0 0 0 * * 30 1,3"] {
        assert!(warnings(same, "UTC").is_empty(), "{same}: {:?}", warnings(same, "UTC"));
    }
}

/// The expression that a line with `?` is said to mean, in an error or a warning.
fn advice(line: &str) -> Option<String> {
    let expressions = [line.to_owned()];
    let text = match Schedule::parse_for_job(&ScheduleSpec::written(&expressions), "q1") {
        Ok(schedule) => schedule.warnings(instant("2027-01-01T00:00:00Z")).join("; "),
        Err(error) => error.explained(),
    };
    let (_, advice) = text.split_once(" write `")?;
    advice.split('`').next().map(str::to_owned)
}

#[test]
fn a_line_with_a_question_mark_gives_an_expression_with_the_ticks_of_its_scheduler() {
    // The ticks that robfig/cron, EventBridge or Quartz give from 2027-01-01, a Friday, on.
    for (line, advised, ticks) in [
        (
            "0 9 ? * MON-FRI",
            "cron(0 9 * * MON-FRI)",
            ["2027-01-01T09:00:00Z", "2027-01-04T09:00:00Z", "2027-01-05T09:00:00Z"],
        ),
        (
            "0 9 ? * 1-5",
            "cron(0 9 * * 1-5)",
            ["2027-01-01T09:00:00Z", "2027-01-04T09:00:00Z", "2027-01-05T09:00:00Z"],
        ),
        (
            "*/5 * ? * *",
            "cron(*/5 * * * *)",
            ["2027-01-01T00:05:00Z", "2027-01-01T00:10:00Z", "2027-01-01T00:15:00Z"],
        ),
        (
            "0 9 1 * ?",
            "cron(0 9 1 * *)",
            ["2027-01-01T09:00:00Z", "2027-02-01T09:00:00Z", "2027-03-01T09:00:00Z"],
        ),
        (
            "0 9 ? * MON-FRI *",
            "cron(0 9 ? * MON-FRI *)",
            ["2027-01-01T09:00:00Z", "2027-01-04T09:00:00Z", "2027-01-05T09:00:00Z"],
        ),
        (
            "0 0 12 ? * WED",
            "cron(0 12 ? * WED *)",
            ["2027-01-06T12:00:00Z", "2027-01-13T12:00:00Z", "2027-01-20T12:00:00Z"],
        ),
    ] {
        assert_eq!(advice(line).as_deref(), Some(advised), "{line}");
        let advised = schedule(advised, "UTC").unwrap();
        assert_eq!(next(&advised, "2027-01-01T00:00:00Z", 3), ticks, "{line}");
    }
    for line in ["0 0 ? * * MON", "0 0 ? 1 * ?", "0 ? 4 * 1-5", "? ? 4", "0 0 ? * * MON 2028"] {
        assert_eq!(advice(line), None, "{line}");
    }
}

#[test]
fn a_weekday_number_in_six_fields_gives_a_warning() {
    for (word, days) in [
        ("2-6", "Monday to Friday"),
        ("1", "Sunday"),
        ("MON-6", "Monday to Friday"),
        ("2,4", "Monday and Wednesday"),
        ("6L", "the last Friday of the month"),
        ("2#1", "the first Monday of the month"),
        ("1-7", "every day"),
    ] {
        assert_eq!(
            warnings(&format!("cron(0 9 ? * {word} *)"), "UTC"),
            [format!(
                "weekdays count from 1 = Sunday in six fields: `{word}` is {days} (names such as MON are the same everywhere)"
            )]
        );
    }
    for named in [
        "cron(0 9 ? * MON-FRI *)",
        "cron(0 9 ? * */2 *)",
        "cron(0 9 ? * L *)",
        "cron(0 9 * * 1-5)",
        "cron(0 9 1 * ? *)",
    ] {
        assert!(warnings(named, "UTC").is_empty(), "{named}");
    }
}

#[test]
fn uneven_steps_give_a_warning_in_every_syntax() {
    for (text, warning) in [
        (
            "cron(*/45 * * * ? *)",
            "`*/45` starts over with each hour, so its last step is 15 minutes instead of 45",
        ),
        (
            "cron(0/40 * * * ? *)",
            "`0/40` starts over with each hour, so its last step is 20 minutes instead of 40",
        ),
        ("cron(*/7 * * * *)", "`*/7` starts over with each hour, so its last step is 4 minutes instead of 7"),
        ("cron(0 */5 * * ? *)", "`*/5` starts over with each day, so its last step is 4 hours instead of 5"),
        ("0 0/7", "`0/7` starts over with each hour, so its last step is 4 minutes instead of 7"),
        ("0 5/7", "`5/7` starts over with each hour, so its last step is 11 minutes instead of 7"),
        ("0 */45", "`*/45` starts over with each hour, so its last step is 15 minutes instead of 45"),
        ("*/45", "`*/45` starts over with each minute, so its last step is 15 seconds instead of 45"),
        ("cron(0 */24 * * *)", "`*/24` names hour 0 alone: the step is larger than the range"),
        ("cron(55 7-23/24 * * *)", "`7-23/24` names hour 7 alone: the step is larger than the range"),
        ("cron(*/60 * * * *)", "`*/60` names minute 0 alone: the step is larger than the range"),
        ("cron(0 0 * * */7)", "`*/7` names Sunday alone: the step is larger than the range"),
        ("cron(10-20/15 * * * ? *)", "`10-20/15` names minute 10 alone: the step is larger than the range"),
    ] {
        assert_eq!(warnings(text, "UTC"), [warning], "{text}");
    }
    for even in [
        "cron(*/15 * * * ? *)",
        "cron(10/20 * * * ? *)",
        "0 0/5",
        "cron(0 8-18/3 * * ? *)",
        "cron(0/45 9 * * ? *)",
        "0 */45 9",
        "*/45 0",
        "0 30-59",
    ] {
        assert!(warnings(even, "UTC").is_empty(), "{even}: {:?}", warnings(even, "UTC"));
    }
}

#[test]
fn a_zone_with_a_fixed_offset_gives_a_warning() {
    let warnings_in = |zone: &str| warnings("0 0 9", zone);
    assert_eq!(
        warnings_in("EST"),
        [
            "`EST` has the same offset from UTC all year; where the clock changes in summer, `America/New_York` follows it"
        ]
    );
    assert!(
        warnings_in("mst")[0].contains("America/Denver")
            && warnings_in("HST")[0].contains("Pacific/Honolulu")
    );
    assert!(warnings_in("Factory")[0].contains("no zone is set"));
    for meant in ["UTC", "America/New_York", "EST5EDT", "Etc/GMT+5", "Asia/Tokyo"] {
        assert!(warnings_in(meant).is_empty(), "{meant}");
    }
}

#[test]
fn uneven_steps_and_missing_days_give_a_warning() {
    assert_eq!(
        warnings("0 */7", "UTC"),
        ["`*/7` starts over with each hour, so its last step is 4 minutes instead of 7"]
    );
    assert_eq!(
        warnings("0 0 0 * * 31", "UTC"),
        ["nothing happens in months that have no day 31 (did you mean the last day?)"]
    );
    for text in ["0 0 0 * * 31,last", "cron(0 0 28 * *)"] {
        assert!(warnings(text, "UTC").is_empty(), "{text}");
    }
    assert_eq!(warnings("0 0 0 mon * 31", "UTC").len(), 1, "a note on both days alone");
    for (day, months) in [("29", vec![2]), ("30", vec![2]), ("31", vec![2, 4, 6, 9, 11])] {
        for month in 1..=12 {
            let text = format!("0 0 0 * * {day} {month}");
            assert_eq!(!warnings(&text, "UTC").is_empty(), months.contains(&month), "{text}");
        }
    }
}

#[test]
fn redundant_entries_of_a_union_give_a_warning() {
    let redundant = union(&["0 0 9 mon", "0 0 *", "0 0 9", "0 0 9 * * *"], "UTC");
    assert_eq!(
        redundant.warnings(instant("2027-01-01T00:00:00Z")),
        ["`0 0 9 mon` adds nothing to `0 0 9`", "`0 0 9 * * *` adds nothing to `0 0 9`",]
    );
    let redundant = union(&["0 0 9 * * * * 2027", "0 0 9"], "UTC");
    assert_eq!(
        redundant.warnings(instant("2027-01-01T00:00:00Z")),
        ["`0 0 9 * * * * 2027` adds nothing to `0 0 9`"]
    );
    for (narrow, wide, is_redundant) in [
        ("0 0 9 * * * * 2027", "0 0 9,10 * * * * 2027", true),
        ("0 0 9 * * * * 2027", "0 0 9,10 * * * * 2028", false),
        ("0 0 9 * * * * 2027-2028", "0 0 9,10 * * * * 2027", false),
    ] {
        let warnings = union(&[narrow, wide], "UTC").warnings(instant("2027-01-01T00:00:00Z"));
        assert_eq!(!warnings.is_empty(), is_redundant, "{narrow} within {wide}: {warnings:?}");
    }
}

#[test]
fn an_ended_schedule_gives_a_warning() {
    let expressions = ["0 0 0".to_owned()];
    let spec =
        ScheduleSpec { end: Some(instant("2026-06-01T00:00:00Z")), ..ScheduleSpec::written(&expressions) };
    let over = Schedule::parse(&spec).unwrap();
    assert_eq!(
        over.warnings(instant("2027-01-01T00:00:00Z")),
        ["the schedule ended at 2026-06-01T00:00:00Z"]
    );
    assert!(over.warnings(instant("2026-01-01T00:00:00Z")).is_empty());
    assert!(over.warnings(instant("2026-06-01T00:00:00.9Z")).is_empty(), "its last second is not over");
}

#[test]
fn an_end_before_the_start_gives_a_warning() {
    let expressions = ["0 0 0".to_owned()];
    let warnings = |start: &str, end: &str| {
        let (start, end) = (Some(instant(start)), Some(instant(end)));
        let spec = ScheduleSpec { start, end, ..ScheduleSpec::written(&expressions) };
        Schedule::parse(&spec).unwrap().warnings(instant("2026-01-01T00:00:00Z"))
    };
    assert_eq!(
        warnings("2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z"),
        ["the end lies before the start, so it never fires"]
    );
    assert!(warnings("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z").is_empty());
    assert!(warnings("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z").is_empty());
}
