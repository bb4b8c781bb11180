use proptest::prelude::*;

use super::*;

const PERIOD: u32 = 60;

fn rule(datapoints: u32, periods: u32, missing: MissingData) -> AlarmRule {
    AlarmRule {
        comparison: Comparison::Above,
        threshold: 5.0,
        datapoints,
        periods,
        missing,
        amount: Amount::Floor,
    }
}

/// Datapoints as AWS writes them: oldest first, `0` does not breach, `X` breaches, `-` is missing.
fn evaluate_alarm(rule: &AlarmRule, written: &str) -> AlarmState {
    let newest_first = written.split(' ').rev().enumerate();
    let points: Vec<Point> = newest_first
        .filter(|(_, mark)| *mark != "-")
        .map(|(back, mark)| {
            let start = -i64::from(PERIOD) * (i64::try_from(back).unwrap() + 1);
            Point { start, value: if mark == "X" { 9.0 } else { 1.0 } }
        })
        .collect();
    rule.evaluate_alarm(&points, 0, PERIOD)
}

/// The tables of "How alarm state is evaluated when data is missing": the expected state with missing data ignored
/// (here: held), breaching, and not breaching.
#[test]
fn missing_datapoints_count_as_in_cloudwatch_alarms() {
    let (alarm, ok, kept) = (Some(true), Some(false), None);
    let table = [
        (3, "0 - X - X", ok, ok, ok),
        (3, "0 - - - -", ok, ok, ok),
        (3, "- - - - -", kept, alarm, ok),
        (3, "0 X X - X", alarm, alarm, alarm),
        (3, "- - X - -", kept, alarm, ok),
        (2, "0 - X - X", alarm, alarm, alarm),
        (2, "0 0 X 0 X", alarm, alarm, alarm),
        (2, "0 - X - -", ok, alarm, ok),
        (2, "- - - - 0", ok, alarm, ok),
        (2, "- - - X -", kept, alarm, ok),
    ];
    for (datapoints, written, hold, breaching, not_breaching) in table {
        let breach = |missing| evaluate_alarm(&rule(datapoints, 3, missing), written).breach;
        assert_eq!(breach(MissingData::Hold), hold, "{datapoints} of 3, {written}, hold");
        assert_eq!(breach(MissingData::Breaching), breaching, "{datapoints} of 3, {written}, breaching");
        assert_eq!(
            breach(MissingData::NotBreaching),
            not_breaching,
            "{datapoints} of 3, {written}, notBreaching"
        );
    }
}

#[test]
fn newest_complete_datapoint_decides_one_of_one() {
    let rule = rule(1, 1, MissingData::Hold);
    assert_eq!(evaluate_alarm(&rule, "0 0 X").breach, Some(true));
    assert_eq!(evaluate_alarm(&rule, "X X 0").breach, Some(false));
    // A late newest datapoint is searched a little further back, and no further.
    assert_eq!(evaluate_alarm(&rule, "X - -").breach, Some(true));
    assert_eq!(evaluate_alarm(&rule, "X - - -").breach, None);
}

#[test]
fn alarm_state_has_counts_and_newest_value() {
    let state = evaluate_alarm(&rule(2, 5, MissingData::Hold), "0 - X - X X");
    assert_eq!((state.breaching, state.missing, state.newest.unwrap().start), (3, 1, -60));
}

#[test]
fn incomplete_datapoint_does_not_count() {
    let unripe = [Point { start: 0, value: 9.0 }, Point { start: -60, value: 1.0 }];
    assert_eq!(rule(1, 1, MissingData::Hold).evaluate_alarm(&unripe, 0, PERIOD).breach, Some(false));
}

#[test]
fn each_comparison_breaches_at_its_bound() {
    let table = [
        (Comparison::Above, [false, false, true]),
        (Comparison::AtLeast, [false, true, true]),
        (Comparison::Below, [true, false, false]),
        (Comparison::AtMost, [true, true, false]),
    ];
    for (comparison, expected) in table {
        let rule = AlarmRule { comparison, ..rule(1, 1, MissingData::Hold) };
        assert_eq!([4.9, 5.0, 5.1].map(|value| rule.breaches(value)), expected, "{comparison:?}");
    }
}

#[test]
fn values_are_divided_over_tasks_rounded_up() {
    let tasks = |value, each| match Amount::Per(each).demand(Some(value)) {
        Demand::Tasks(n) => n.get(),
        Demand::Floor => 0,
        Demand::Idle => panic!("a breach is never idle"),
    };
    let table = [
        (1_150.0, 100.0, 12),
        (1_200.0, 100.0, 12),
        (0.6, 0.2, 3),
        (1.1, 0.1, 11),
        (0.7, 0.1, 7),
        (1e-6, 1.0, 1),
        (0.0, 10.0, 0),
        (-5.0, 10.0, 0),
        (1e300, 1e-300, u32::MAX),
    ];
    for (value, each, expected) in table {
        assert_eq!(tasks(value, each), expected, "{value} ÷ {each}");
    }
}

#[test]
fn highest_exceeded_step_counts() {
    let tasks = |n| Demand::Tasks(NonZeroU32::new(n).unwrap());
    let steps =
        Amount::Steps(vec![(10.0, NonZeroU32::new(2).unwrap()), (100.0, NonZeroU32::new(5).unwrap())]);
    assert_eq!([9.0, 10.0].map(|value| steps.demand(Some(value))), [Demand::Floor; 2]);
    assert_eq!([10.5, 100.0].map(|value| steps.demand(Some(value))), [tasks(2); 2]);
    assert_eq!(steps.demand(Some(100.1)), tasks(5));
    assert_eq!(steps.demand(None), Demand::Floor);
}

proptest! {
    #[test]
    fn the_tasks_can_take_the_value_and_one_fewer_could_not(value in 0.001_f64..1e6, each in 0.001_f64..1e3) {
        let tasks = f64::from(quotient(value, each));
        prop_assert!(tasks * each >= value * (1.0 - 1e-8));
        prop_assert!((tasks - 1.0) * each <= value * (1.0 + 1e-8));
    }

    #[test]
    fn with_nothing_missing_the_treatment_makes_no_difference(
        marks in prop::collection::vec(any::<bool>(), 5..=5),
        datapoints in 1_u32..=3,
    ) {
        let written: Vec<&str> = marks.iter().map(|breaches| if *breaches { "X" } else { "0" }).collect();
        let breach = |missing| evaluate_alarm(&rule(datapoints, 3, missing), &written.join(" ")).breach;
        let expected = u32::try_from(marks[2..].iter().filter(|mark| **mark).count()).unwrap() >= datapoints;
        prop_assert_eq!(breach(MissingData::Hold), Some(expected));
        prop_assert_eq!(breach(MissingData::Breaching), Some(expected));
        prop_assert_eq!(breach(MissingData::NotBreaching), Some(expected));
    }
}
