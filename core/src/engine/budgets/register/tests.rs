use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn waiting(since: i64, asked: i64, next: i64) -> WaitingJob {
    WaitingJob { job: 1, since, asked, next, tasks: 2 }
}

#[test]
fn launches_count_for_at_least_60_minutes_and_less_than_a_step_longer() {
    for second in [0, 1, 150, 299] {
        let launched = 3_000_000 + second;
        let mut part = PartUse::default();
        part.launches.insert(step_of(at(launched)), 4);
        part.prune(at(launched + 3_600));
        assert_eq!(part.launched(at(launched + 3_600)), 4, "second {second}");
        let gone = launched + 3_600 + STEP_SECONDS;
        assert_eq!(part.launched(at(gone)), 0, "second {second}");
        part.prune(at(gone));
        assert!(part.is_empty());
    }
}

#[test]
fn launches_of_a_clock_that_was_ahead_count_from_now() {
    let mut part = PartUse::default();
    part.launches.insert(step_of(at(9_000_000)), 4);
    part.prune(at(3_000_000));
    assert_eq!(part.launches, BTreeMap::from([(10_000, 4)]));
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
    let largest = PartUse {
        tasks: u32::MAX,
        launches: (10_000_000..10_000_013).map(|step| (step, u32::MAX)).collect(),
        waiting: vec![
            WaitingJob {
                job: u64::MAX,
                since: 9_999_999_999,
                asked: 9_999_999_999,
                next: 9_999_999_999,
                tasks: u32::MAX
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
    let register = BudgetRegister::parse(r#"{"parts": {"3": {"owner": 7, "budgets": {"a": {"tasks": 2}}}}}"#);
    let register = register.unwrap();
    assert_eq!(register.part_use(Shard::new(3).unwrap(), "a").unwrap().tasks, 2);
    assert!(register.part_use(Shard::new(4).unwrap(), "a").is_none());
    assert!(!BudgetRegister::parse(r#"{"parts": 3}"#).unwrap_err().is_transient());
}
