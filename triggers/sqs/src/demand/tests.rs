use ecs_scheduler_core::Demand;
use proptest::prelude::*;

use super::*;

fn depth(visible: u64, in_flight: u64, delayed: u64) -> Depth {
    Depth { visible, in_flight, delayed, visibility_timeout: Duration::from_secs(30) }
}

fn evaluate(config: &SqsConfig, depth: &Depth) -> Evaluation {
    DemandRule::from_config(config).evaluate(depth, "orders", Timestamp::UNIX_EPOCH)
}

fn config(per_task: u32) -> SqsConfig {
    SqsConfig { messages_per_task: NonZeroU32::new(per_task), ..SqsConfig::default() }
}

fn demand_and_reason(config: &SqsConfig, depth: &Depth) -> (u32, String) {
    let evaluation = evaluate(config, depth);
    let tasks = match evaluation.demand {
        Demand::Idle => 0,
        Demand::Floor => 99,
        Demand::Tasks(n) => n.get(),
    };
    (tasks, evaluation.reason)
}

#[test]
fn messages_are_divided_over_tasks_and_explained() {
    let table: [(u64, u32, u32, &str); 6] = [
        (1_150, 100, 12, "1150 messages ÷ 100 per task, rounded up"),
        (1_200, 100, 12, "1200 messages ÷ 100 per task"),
        (1, 100, 1, "1 message ÷ 100 per task, rounded up"),
        (5, 1, 5, "5 messages ÷ 1 per task"),
        (0, 100, 0, "no messages"),
        (u64::MAX, 1, u32::MAX, "18446744073709551615 messages ÷ 1 per task"),
    ];
    for (visible, per_task, tasks, reason) in table {
        assert_eq!(demand_and_reason(&config(per_task), &depth(visible, 7, 9)), (tasks, reason.to_owned()));
    }
}

#[test]
fn no_messages_per_task_requests_the_floor() {
    assert_eq!(demand_and_reason(&config(0), &depth(3, 7, 9)), (99, "3 messages".to_owned()));
    assert_eq!(demand_and_reason(&config(0), &depth(0, 7, 9)), (0, "no messages".to_owned()));
}

#[test]
fn in_flight_and_delayed_messages_count_if_configured() {
    let both = SqsConfig { count_in_flight: true, count_delayed: true, ..config(10) };
    assert_eq!(
        demand_and_reason(&both, &depth(5, 7, 9)),
        (3, "21 messages (5 visible, 7 in flight, 9 delayed) ÷ 10 per task, rounded up".to_owned())
    );
    let flying = SqsConfig { count_in_flight: true, ..config(10) };
    let reason = "12 messages (5 visible, 7 in flight) ÷ 10 per task, rounded up".to_owned();
    assert_eq!(demand_and_reason(&flying, &depth(5, 7, 9)), (2, reason));
    let delayed = SqsConfig { count_delayed: true, ..config(1) };
    assert_eq!(demand_and_reason(&delayed, &depth(0, 7, 0)), (0, "no messages".to_owned()));
    assert_eq!(demand_and_reason(&delayed, &depth(0, 7, 9)).0, 9);
}

#[test]
fn queue_up_to_activation_is_idle() {
    let config = SqsConfig { activation: 20, ..config(10) };
    let idle = "20 messages, not more than the activation of 20".to_owned();
    assert_eq!(demand_and_reason(&config, &depth(20, 0, 0)), (0, idle));
    assert_eq!(
        demand_and_reason(&config, &depth(21, 0, 0)),
        (3, "21 messages ÷ 10 per task, rounded up".to_owned())
    );
}

#[test]
fn every_evaluation_has_all_counts() {
    for config in [config(0), config(10), SqsConfig { activation: 1_000, ..config(10) }] {
        let evaluation = evaluate(&config, &depth(5, 7, 9));
        let named: Vec<_> = evaluation.observations.iter().map(|o| (o.name.as_str(), o.value)).collect();
        assert_eq!(named, [("visible", 5.0), ("inFlight", 7.0), ("delayed", 9.0)]);
        assert!(evaluation.observations.iter().all(|o| o.subject == "orders" && o.unit == "messages"));
        let queue = evaluation.queue.unwrap();
        assert_eq!((queue.visible, queue.in_flight, queue.visibility_timeout.as_secs()), (5, 7, 30));
        assert_eq!(queue.per_task, config.messages_per_task.unwrap_or(NonZeroU32::MIN));
    }
}

proptest! {
    #[test]
    fn task_count_is_the_minimum_for_all_messages(n in 1_u64..u64::from(u32::MAX), each in 1_u32..) {
        let (tasks, _) = demand_and_reason(&config(each), &depth(n, 0, 0));
        let room = |tasks: u32| u128::from(tasks) * u128::from(each);
        prop_assert!(room(tasks) >= u128::from(n) && room(tasks - 1) < u128::from(n));
    }

    #[test]
    fn more_messages_never_request_fewer_tasks(n: u64, more: u64, each in 1_u32.., activation in 0_u64..100) {
        let config = SqsConfig { activation, ..config(each) };
        let fewer = demand_and_reason(&config, &depth(n.min(more), 0, 0)).0;
        prop_assert!(fewer <= demand_and_reason(&config, &depth(n.max(more), 0, 0)).0);
    }

    #[test]
    fn counts_up_to_2_pow_53_are_exact(count in 0_u64..(1 << 53)) {
        prop_assert_eq!(to_f64(count).to_string(), count.to_string());
    }
}
