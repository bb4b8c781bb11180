use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn waiting(since: i64, asked: i64, next: i64) -> WaitingJob {
    WaitingJob { job: 1, since, asked, next, wanted: Amounts::default() }
}

#[test]
fn the_past_counts_for_at_least_the_time_of_the_limit_and_less_than_a_step_longer() {
    for (limit, time) in [(BudgetLimit::LaunchesPerHour, 3_600), (BudgetLimit::DollarsPerDay, 86_400)] {
        let step = limit.step_seconds();
        for second in [0, 1, step / 2, step - 1] {
            let used = 360_000_000 + second;
            let mut past = Past::default();
            past.add(step_of(limit, at(used)), 4);
            past.prune(limit, at(used + time));
            assert_eq!(past.sum(limit, at(used + time)), 4, "second {second}");
            let gone = used + time + step;
            assert_eq!(past.sum(limit, at(gone)), 0, "second {second}");
            past.prune(limit, at(gone));
            assert!(past.is_empty());
        }
    }
}

#[test]
fn launches_of_a_clock_that_was_ahead_count_from_now() {
    let (limit, mut past) = (BudgetLimit::LaunchesPerHour, Past::default());
    past.add(step_of(limit, at(9_000_000)), 4);
    past.prune(limit, at(3_000_000));
    assert_eq!(past.0, BTreeMap::from([(10_000, 4)]));
}

#[test]
fn a_waiting_job_keeps_room_as_long_before_it_asks_as_it_has_waited() {
    let first = waiting(1_000, 1_000, 4_600);
    assert!(!first.holds(4_539) && first.holds(4_540), "a minute at first");
    let second = waiting(1_000, 4_600, 8_200);
    assert!(second.holds(4_600), "then from its last miss on");
    assert!(second.is_live(8_320) && !second.is_live(8_321) && !second.holds(8_321));
    assert!(!waiting(5_000, 5_000, 5_060).is_live(4_000), "its clock was ahead");
}

#[test]
fn the_largest_register_fits_into_every_store() {
    let names: Vec<String> = (0..16).map(|number| format!("{number:064}")).collect();
    // The greatest limits: tasks, launches, CPU units, MiB, millionths of a dollar.
    let most = Amounts::from(vec![1_000_000, 1_000_000, 1_024_000_000, 1_000_000_000, 1_000_000_000_000]);
    let past = |from: i64, amount: u64| Past((from..from + STEPS).map(|step| (step, amount)).collect());
    let largest = PartUse {
        held: most,
        launches: past(10_000_000, 1_000_000),
        prices: past(400_000, 1_000_000_000_000),
        waiting: vec![
            WaitingJob {
                job: u64::MAX,
                since: 9_999_999_999,
                asked: 9_999_999_999,
                next: 9_999_999_999,
                wanted: most
            };
            MAX_WAITING
        ],
    };
    let budgets: BTreeMap<_, _> = names.into_iter().map(|name| (name, largest.clone())).collect();
    let part = BudgetPart { owner: u64::MAX, budgets };
    let register = BudgetRegister { parts: (0..Shard::COUNT).map(|shard| (shard, part.clone())).collect() };
    let value = register.to_value();
    assert!(value.len() < 390_000, "{} bytes; an item of DynamoDB has 400 KB", value.len());
    assert_eq!(BudgetRegister::parse(&value).unwrap(), register);
}

#[test]
fn a_register_without_a_part_of_it_can_be_read() {
    let register =
        BudgetRegister::parse(r#"{"parts": {"3": {"owner": 7, "budgets": {"a": {"held": [2]}}}}}"#);
    let register = register.unwrap();
    assert_eq!(register.part_use(Shard::new(3).unwrap(), "a").unwrap().held, Amounts::from(vec![2]));
    assert!(register.part_use(Shard::new(4).unwrap(), "a").is_none());
    assert!(!BudgetRegister::parse(r#"{"parts": 3}"#).unwrap_err().is_transient());
}
