//! The spellings other than the eight fields, and what is refused.

use ecs_scheduler_core::schedule::{
    Schedule, ScheduleErrorKind, ScheduleSpec, parse_cron_or, parse_time_zone, tzdb_version,
};

use super::{instant, next, schedule, union};

#[test]
fn every_sample_of_eventbridge_ticks_as_documented() {
    let samples = [
        ("cron(0 10 * * ? *)", "2026-01-01T10:00:00Z", "2026-01-02T10:00:00Z"),
        ("cron(15 12 * * ? *)", "2026-01-01T12:15:00Z", "2026-01-02T12:15:00Z"),
        ("cron(0 18 ? * MON-FRI *)", "2026-01-01T18:00:00Z", "2026-01-02T18:00:00Z"),
        ("cron(0 8 1 * ? *)", "2026-01-01T08:00:00Z", "2026-02-01T08:00:00Z"),
        ("cron(0/15 * * * ? *)", "2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"),
        ("cron(0/5 8-17 ? * MON-FRI *)", "2026-01-01T08:00:00Z", "2026-01-01T08:05:00Z"),
        ("cron(0/30 20-2 ? * MON-FRI *)", "2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z"),
        ("cron(0 9 ? * 2#1 *)", "2026-01-05T09:00:00Z", "2026-02-02T09:00:00Z"),
        ("cron(15 10 ? * 6L 2026-2027)", "2026-01-30T10:15:00Z", "2026-02-27T10:15:00Z"),
        ("cron(0 0 LW * ? *)", "2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"),
        ("cron(0 0 L-2 2 ? *)", "2026-02-26T00:00:00Z", "2027-02-26T00:00:00Z"),
        ("cron(0 0 15W * ? *)", "2026-01-15T00:00:00Z", "2026-02-16T00:00:00Z"),
        ("cron(0 0 1 1 ? 2030/10)", "2030-01-01T00:00:00Z", "2040-01-01T00:00:00Z"),
    ];
    for (text, first, second) in samples {
        let schedule = schedule(text, "UTC").unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(next(&schedule, "2026-01-01T00:00:00Z", 2), [first, second], "{text}");
    }
}

#[test]
fn reversed_ranges_run_over_the_end() {
    let weekend = schedule("cron(0 0 ? * FRI-MON/2 *)", "UTC").unwrap();
    assert_eq!(
        next(&weekend, "2026-01-01T00:00:00Z", 3),
        [
            "2026-01-02T00:00:00Z", // Friday
            "2026-01-04T00:00:00Z", // Sunday
            "2026-01-09T00:00:00Z",
        ]
    );
    let winter = schedule("cron(0 0 1 11-2 ? *)", "UTC").unwrap();
    assert_eq!(next(&winter, "2026-02-01T00:00:00Z", 2), ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]);
}

#[test]
fn five_fields_take_either_day() {
    let either = schedule("cron(0 0 15 * MON)", "UTC").unwrap();
    assert_eq!(
        next(&either, "2026-01-10T00:00:00Z", 3),
        ["2026-01-12T00:00:00Z", "2026-01-15T00:00:00Z", "2026-01-19T00:00:00Z",]
    );
}

#[test]
fn errors_in_cron_have_field_position_and_allowed_values() {
    let mistakes = [
        ("cron(60 * * * ? *)", "minute", 5),
        ("cron(0 24 * * ? *)", "hour", 7),
        ("cron(0 0 32 * ? *)", "day-of-month", 9),
        ("cron(0 0 1 13 ? *)", "month", 11),
        ("cron(0 0 ? * 8 *)", "day-of-week", 13),
        ("cron(0 0 ? * 0 *)", "day-of-week", 13),
        ("cron(0 0 ? * MON 1969)", "year", 17),
        ("cron(0 0 ? * MON 2200)", "year", 17),
        ("cron(0 0 ? * MON 2030-2020)", "year", 17),
        ("cron(0 0 1 * MON *)", "day-of-week", 13),
        ("cron(0 0 ? * ? *)", "day-of-week", 13),
        ("cron(0 0 ? * MON)", "day-of-month", 9),
        ("cron(5,* 0 ? * MON *)", "minute", 5),
        ("cron(? 0 ? * MON *)", "minute", 5),
        (" cron(0  0  ?  *  MON#6  *)", "day-of-week", 17),
    ];
    for (text, field, position) in mistakes {
        let error = schedule(text, "UTC").unwrap_err();
        assert_eq!((error.field(), error.position()), (Some(field), Some(position)), "{text}: {error}");
        assert!(error.to_string().contains(error.allowed().unwrap()), "{error}");
    }
    let error = schedule("cron(0 24 * * ? *)", "UTC").unwrap_err();
    assert_eq!(error.allowed(), Some("0 to 23; *, */n, a-b, a-b/n, a/n, lists"));
    assert_eq!(
        error.to_string(),
        "could not read hour \"24\" of \"cron(0 24 * * ? *)\": not an expression for this field; \
         allowed: 0 to 23; *, */n, a-b, a-b/n, a/n, lists"
    );
}

#[test]
fn ranges_over_the_end_and_working_days_at_the_edge_of_a_month_are_evaluated() {
    let schedules = [
        "0 0 1 10-2/3 *",
        "0 0 28-3/2 * *",
        "0 12 L-3W * *",
        "0 0 29W 2 *",
        "0 0 31W 2 *",
        "59-0 22-2 30-1 * FRI-SUN",
    ];
    for text in schedules {
        let schedule = schedule(&format!("cron({text})"), "Europe/Berlin").unwrap();
        let ticks = schedule.upcoming(instant("2026-01-01T00:00:00Z")).take(50).count();
        assert_eq!(ticks, if text == "0 0 31W 2 *" { 0 } else { 50 }, "{text}");
        assert!(!schedule.describe().is_empty());
    }
}

#[test]
fn steps_of_six_fields_are_accepted_up_to_the_range_of_the_field() {
    for (index, range) in [59, 23, 30, 11, 6, 229].into_iter().enumerate() {
        let refused = |step: u32| {
            let step = format!("*/{step}");
            let mut words = ["0", "0", if index == 4 { "?" } else { "1" }, "*", "?", "*"];
            words[index] = &step;
            schedule(&format!("cron({})", words.join(" ")), "UTC").is_err()
        };
        assert_eq!((refused(range), refused(range + 1)), (false, true), "field {index}");
    }
}

#[test]
fn numbers_beyond_128_bits_are_compared_and_named_in_full() {
    let (less, more) = ("9".repeat(40), format!("1{}", "0".repeat(40)));
    let message = |minute: String| schedule(&format!("0 {minute}"), "UTC").unwrap_err().to_string();
    let reversed = "The minimum value in a range must not be higher than the maximum";
    let too_high = |last: &str| format!("the last value ({last}) is higher than the maximum value (59)");
    assert_eq!(message(format!("{more}-{less}")), reversed);
    assert_eq!(message(format!("{more}-{}8", &less[1..])), reversed);
    assert_eq!(message(format!("{less}-{}8", &less[1..])), reversed);
    assert!(message(format!("{less}-{more}")).ends_with(&too_high(&more)));
    assert!(message(format!("0{less}-00{less}")).ends_with(&too_high(&less)));
    assert!(message(format!("5-{}", u128::MAX)).ends_with(&too_high(&u128::MAX.to_string())));
}

#[test]
fn the_nearest_working_day_stays_within_its_month() {
    // 1 August 2026 is a Saturday, 31 May 2026 a Sunday.
    for (text, tick) in [
        ("cron(0 0 1W 8 ? 2026)", "2026-08-03T00:00:00Z"),
        ("cron(0 0 2W 8 ? 2026)", "2026-08-03T00:00:00Z"),
        ("cron(0 0 LW 5 ? 2026)", "2026-05-29T00:00:00Z"),
        ("cron(0 0 30W 5 ? 2026)", "2026-05-29T00:00:00Z"),
        ("cron(0 0 31W 5 ? 2026)", "2026-05-29T00:00:00Z"),
    ] {
        assert_eq!(next(&schedule(text, "UTC").unwrap(), "2026-01-01T00:00:00Z", 2), [tick], "{text}");
    }
}

#[test]
fn hostile_input_is_rejected_without_a_panic() {
    let long = "1,".repeat(600);
    let hostile = [
        "",
        "cron()",
        "cron(",
        "rate()",
        "at()",
        "@",
        "@never",
        "rate(5)",
        "rate(0 minutes)",
        "rate(-1 minutes)",
        "rate(+5 minutes)",
        "rate(99999999999999999999 days)",
        "rate(5 minuts)",
        "rate(5 minutes 3 seconds)",
        "at(2027-03-01)",
        "at(2027-02-30T00:00:00)",
        "at(2027-03-01T09:00:00Z)",
        "at(+02027-03-01T09:00)",
        "cron(💥 * * * *)",
        "💥",
        "CRON(0 0 * * * *)",
        "0 +5",
        &long,
    ];
    for text in hostile {
        let error = schedule(text, "UTC").expect_err(text);
        assert_eq!(error.kind(), ScheduleErrorKind::Syntax, "{text}");
        assert!(!error.to_string().is_empty());
    }
    let many = vec!["0".to_owned(); 65];
    assert!(Schedule::parse(&ScheduleSpec::written(&many)).is_err());
    assert!(Schedule::parse(&ScheduleSpec::written(&many[1..])).is_ok());
    assert!(Schedule::parse(&ScheduleSpec::written(&[])).is_err());
    let padded = |length| schedule(&format!("{:length$}", "0"), "UTC");
    assert!(padded(1_024).is_ok() && padded(1_025).is_err() && padded(2_000).is_err());
}

#[test]
fn accidental_names_are_accepted_from_a_store_alone() {
    let expressions = ["0 0 0 mon-fri/2".to_owned()];
    assert!(Schedule::parse(&ScheduleSpec::written(&expressions)).is_err());
    let stored = Schedule::parse(&ScheduleSpec::stored(&expressions)).unwrap();
    assert_eq!(stored.describe(), "At 00:00 on Monday to Friday, UTC");
}

#[test]
fn digits_of_other_scripts_are_accepted_from_a_store_alone() {
    let minute = |text: &str| [format!("0 {text}")];
    let ten = minute("\u{661}\u{660}");
    assert!(Schedule::parse(&ScheduleSpec::written(&ten)).is_err());
    let stored = Schedule::parse(&ScheduleSpec::stored(&ten)).unwrap();
    assert_eq!(next(&stored, "2026-01-01T00:00:00Z", 1), ["2026-01-01T00:10:00Z"]);
    // The sign after the ten Arabic digits.
    assert!(Schedule::parse(&ScheduleSpec::stored(&minute("\u{66A}"))).is_err());
}

#[test]
fn errors_name_the_range_of_the_field_and_the_word_that_is_no_weekday() {
    let message = |day: &str| schedule(&format!("0 0 0 * * {day}"), "UTC").unwrap_err().to_string();
    let too_long = "the step value (31) is higher than the total range of the expression (30)";
    assert!(message("5-31/31").ends_with(too_long));
    assert_eq!(message("1st_5mon"), "Invalid weekday name \"5\"");
    assert_eq!(message("1st_mo"), "Invalid weekday name \"mo\"");
}

#[test]
fn a_rate_of_zero_is_rejected_as_zero() {
    let message = |text: &str| schedule(text, "UTC").unwrap_err().to_string();
    assert!(message("rate(0 minutes)").contains(": zero, expected"));
    assert!(message("rate(36526 days)").contains(": longer than 100 years, expected"));
    assert!(schedule("rate(36525 days)", "UTC").is_ok());
}

#[test]
fn a_rate_counts_from_the_epoch_or_from_the_start() {
    let schedule = schedule("rate(7 minutes)", "Europe/Berlin").unwrap();
    let tick = schedule.next_after(instant("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(tick.as_second() % 420, 0);
    let expressions = ["rate(1 day)".to_owned()];
    let start = Some(instant("2026-01-01T09:30:00.5Z"));
    let daily = Schedule::parse(&ScheduleSpec { start, ..ScheduleSpec::written(&expressions) }).unwrap();
    assert_eq!(next(&daily, "2025-01-01T00:00:00Z", 2), ["2026-01-01T09:30:01Z", "2026-01-02T09:30:01Z"]);
}

#[test]
fn at_ticks_once_even_in_a_gap_or_fold() {
    let ticks = |text: &str| next(&schedule(text, "Europe/Berlin").unwrap(), "2026-01-01T00:00:00Z", 3);
    assert_eq!(ticks("at(2027-03-01T09:00:00)"), ["2027-03-01T08:00:00Z"]);
    assert_eq!(ticks("at(2027-03-28T02:30:00)"), ["2027-03-28T01:30:00Z"]);
    assert_eq!(ticks("at(2027-10-31T02:30:00)"), ["2027-10-31T00:30:00Z"]);
    let once = schedule("at(2027-03-01T09:00:00)", "UTC").unwrap();
    let last = |until: &str| once.last_in(instant("2026-01-01T00:00:00Z"), instant(until));
    assert_eq!(last("2027-03-01T08:59:59Z"), None);
    assert_eq!(last("2027-03-01T09:00:00Z"), Some(instant("2027-03-01T09:00:00Z")));
    assert_eq!(last("2027-03-01T09:00:01Z"), Some(instant("2027-03-01T09:00:00Z")));
}

#[test]
fn macros_mean_local_midnight_and_weeks_begin_on_sunday() {
    let ticks = |text: &str| next(&schedule(text, "UTC").unwrap(), "2026-01-01T00:30:00Z", 1).remove(0);
    assert_eq!(ticks("@hourly"), "2026-01-01T01:00:00Z");
    assert_eq!(ticks("@weekly"), "2026-01-04T00:00:00Z");
    assert_eq!(ticks("@monthly"), "2026-02-01T00:00:00Z");
    for day in ["@daily", "@midnight", "@Daily", " @MIDNIGHT "] {
        assert_eq!(ticks(day), "2026-01-02T00:00:00Z", "{day}");
    }
    for year in ["@yearly", "@annually", "@Annually"] {
        assert_eq!(ticks(year), "2027-01-01T00:00:00Z", "{year}");
    }
}

#[test]
fn a_union_has_each_instant_once_and_reports_the_invalid_entry() {
    let both = union(&["0 0 */6", "cron(0 12,13 * * *)", "at(2026-01-01T12:00:00)"], "UTC");
    assert_eq!(
        next(&both, "2026-01-01T06:00:00Z", 3),
        ["2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z", "2026-01-01T18:00:00Z",]
    );
    let expressions = ["0".to_owned(), "0 0 0 7".to_owned()];
    let error = Schedule::parse(&ScheduleSpec::written(&expressions)).unwrap_err();
    assert_eq!((error.entry(), error.field(), error.position()), (1, Some("day_of_week"), Some(6)));
    assert_eq!(schedule("0 0 0 7", "UTC").unwrap_err().entry(), 0);
}

#[test]
fn triggers_read_bare_strings_of_five_or_six_words_as_cron() {
    assert_eq!(parse_cron_or(" 0 0 ? * MON * "), "cron(0 0 ? * MON *)");
    for kept in ["0 30 2", "0 0 0 mon * 1 1 2027", "@daily", "cron(0 0 * * *)", "at(2027-03-01T09:00:00)"] {
        assert_eq!(parse_cron_or(kept), kept);
    }
}

#[test]
fn zone_names_are_those_of_iana_in_any_case() {
    for name in ["", "utc", "UTC", "europe/BERLIN", "EST5EDT", "Asia/Calcutta", "Etc/GMT+5"] {
        assert!(parse_time_zone(name).is_ok(), "{name}");
    }
    for name in
        ["PST", "+01:00", " UTC", "Europe/Berlin ", "Etc/Unknown", "local", "Europe", "../Europe/Berlin"]
    {
        let error = parse_time_zone(name).expect_err(name);
        assert_eq!(error.kind(), ScheduleErrorKind::TimeZone);
        assert_eq!(error.to_string(), format!("Invalid timezone format: {name}"));
    }
    assert_eq!(parse_time_zone("Europe/Berln").unwrap_err().nearest(), Some("Europe/Berlin"));
    assert_eq!(parse_time_zone("america/new_yrok").unwrap_err().nearest(), Some("America/New_York"));
    let nearest_of = |length| parse_time_zone(&format!("{:length$}", "Europe/Berln")).unwrap_err();
    assert_eq!(nearest_of(64).nearest(), Some("Europe/Berlin"));
    assert_eq!(nearest_of(65).nearest(), None);
    assert!(tzdb_version().starts_with("20"));
}

#[test]
fn an_abbreviation_suggests_its_zone_or_nothing() {
    let nearest = |name: &str| parse_time_zone(name).unwrap_err().nearest().map(str::to_owned);
    for (name, zone) in [
        ("PST", "America/Los_Angeles"),
        ("pdt", "America/Los_Angeles"),
        ("CST", "America/Chicago"),
        ("EDT", "America/New_York"),
        ("CEST", "Europe/Berlin"),
        ("JST", "Asia/Tokyo"),
    ] {
        assert_eq!(nearest(name).as_deref(), Some(zone), "{name}");
        assert!(parse_time_zone(zone).is_ok(), "{zone}");
    }
    for name in ["IST", "PT", "ET", "UTC+1", "GMT+1", "GMT-20", "Etc/GMT+20", "+01:00", "Local", "EST6"] {
        assert_eq!(nearest(name), None, "{name}");
    }
}

#[test]
fn names_of_functions_are_read_in_any_case() {
    for (text, same) in [
        ("CRON(0 9 ? * MON *)", "cron(0 9 ? * MON *)"),
        ("Cron (0 9 * * 1)", "cron(0 9 * * 1)"),
        ("RATE(5 MINUTES)", "rate(5 minutes)"),
        ("Rate(1 Day)", "rate(1 day)"),
        ("AT(2027-03-01T09:00:00)", "at(2027-03-01T09:00:00)"),
    ] {
        let [one, other] = [text, same].map(|text| schedule(text, "UTC").unwrap());
        let after = "2026-01-01T00:00:00Z";
        assert_eq!(next(&one, after, 5), next(&other, after, 5), "{text}");
    }
}

#[test]
fn syntax_that_belongs_to_another_field_is_rejected_with_a_hint() {
    for (text, hint) in [
        ("@every 1h30m", "write `rate(90 minutes)`"),
        ("@every 24h", "write `rate(1 day)`"),
        ("@Every 45s", "write `rate(45 seconds)`"),
        (
            "CRON_TZ=America/New_York 0 9 * * 1-5",
            "write `cron(0 9 * * 1-5)` and set `timezone` to \"America/New_York\"",
        ),
        (
            "cron(CRON_TZ=Europe/Berlin 0 9 * * *)",
            "write `cron(0 9 * * *)` and set `timezone` to \"Europe/Berlin\"",
        ),
        (
            "cron( TZ=Asia/Tokyo 0 9 ? * MON *)",
            "write `cron(0 9 ? * MON *)` and set `timezone` to \"Asia/Tokyo\"",
        ),
        ("TZ=Asia/Tokyo @daily", "write `@daily` and set `timezone` to \"Asia/Tokyo\""),
        ("0 0 12 * * ?", "this looks like a line of Quartz: write `cron(0 12 * * ? *)`"),
        ("0 0/5 14,18 * * ?", "write `cron(0/5 14,18 * * ? *)`"),
        ("0 0 12 ? * WED", "write `cron(0 12 ? * WED *)`"),
        ("0 15 10 ? * 6L 2027-2028", "write `cron(15 10 ? * 6L 2027-2028)`"),
        ("30 0 12 1 JAN ?", "write `30 0 12 * * 1 JAN`"),
        ("cron(0 0 12 * * ?)", "write `cron(0 12 * * ? *)`"),
        ("cron(0 0 12 ? * WED 2027)", "write `cron(0 12 ? * WED 2027)`"),
        ("0 12 * * ? *", "this looks like a line of EventBridge: write `cron(0 12 * * ? *)`"),
        ("0 9 * * MON", "this looks like a line of Unix cron: write `cron(0 9 * * MON)`"),
    ] {
        let message = schedule(text, "UTC").unwrap_err().explained();
        assert!(message.contains(hint), "{text}: {message}");
        let written = hint.split('`').nth(1).unwrap();
        assert!(schedule(written, "UTC").is_ok(), "{written}");
    }
    for text in [
        "@every",
        "@every soon",
        "@every 0s",
        "0 0 0 fri * 13 smarch",
        "30 0 12 ? * WED",
        "cron(0 0 12)",
        "@reboot",
    ] {
        assert_eq!(schedule(text, "UTC").unwrap_err().hint(), None, "{text}");
    }
    for text in ["CRON_TZ=UTC", "TZ=", "CRON_TZ= ", "TZ=UTC cron(x)"] {
        assert!(schedule(text, "UTC").unwrap_err().to_string().contains("`timezone`"), "{text}");
    }
}
