//! What schedules warn of.

use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec};

use super::{instant, schedule, union};

fn warnings(text: &str, zone: &str) -> Vec<String> {
    schedule(text, zone).unwrap().warnings(instant("2027-01-01T00:00:00Z"))
}

#[test]
fn a_star_for_the_second_is_questioned() {
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
    for meant in ["*", "*/10", "0 */5", "0 0 *", "cron(* * * * ? *)"] {
        assert!(warnings(meant, "UTC").is_empty(), "{meant}");
    }
}

#[test]
fn a_coming_gap_is_named_with_its_date_and_consequence() {
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
}

#[test]
fn day_fields_that_work_together_are_named() {
    assert_eq!(
        warnings("0 0 0 fri * 13", "UTC"),
        ["`0 0 0 fri * 13` sets day and day_of_week: both must match, unlike in Unix cron"]
    );
    assert_eq!(
        warnings("cron(0 0 13 * FRI)", "UTC"),
        ["`cron(0 0 13 * FRI)` sets both day fields: either one is enough, as in Unix cron"]
    );
}

#[test]
fn habits_of_other_crons_are_pointed_out() {
    assert_eq!(
        warnings("0 0 9 1-5", "UTC"),
        ["weekdays count from 0 = Monday here: `1-5` is Tuesday to Saturday"]
    );
    let five = warnings("0 0 1 mon *", "UTC");
    assert_eq!(
        five,
        [
            "`0 0 1 mon *` is read as second, minute, hour, weekday and ISO week; for Unix cron write `cron(0 0 1 mon *)`"
        ]
    );
}

#[test]
fn steps_and_days_that_do_not_fit_are_pointed_out() {
    assert_eq!(
        warnings("0 */7", "UTC"),
        ["`*/7` begins anew with each hour, so its last step is 4 minutes instead of 7"]
    );
    assert_eq!(
        warnings("0 0 0 * * 31", "UTC"),
        ["nothing happens in months that have no day 31 (did you mean the last day?)"]
    );
    assert!(warnings("0 0 0 * * 31 jan", "UTC").is_empty());
}

#[test]
fn redundant_entries_of_a_union_are_named() {
    let redundant = union(&["0 0 9 mon", "0 0 *", "0 0 9", "0 0 9 * * *"], "UTC");
    assert_eq!(
        redundant.warnings(instant("2027-01-01T00:00:00Z")),
        ["`0 0 9 mon` adds nothing to `0 0 9`", "`0 0 9 * * *` adds nothing to `0 0 9`",]
    );
}

#[test]
fn a_schedule_that_is_over_says_so() {
    let expressions = ["0 0 0".to_owned()];
    let spec =
        ScheduleSpec { end: Some(instant("2026-06-01T00:00:00Z")), ..ScheduleSpec::written(&expressions) };
    let over = Schedule::parse(&spec).unwrap();
    assert_eq!(
        over.warnings(instant("2027-01-01T00:00:00Z")),
        ["the schedule ended at 2026-06-01T00:00:00Z"]
    );
    assert!(over.warnings(instant("2026-01-01T00:00:00Z")).is_empty());
}
