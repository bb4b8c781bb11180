use serde_json::{Map, json};

use super::*;

#[test]
fn budgets_have_a_selector_and_limits() {
    let text = json!({
        "nightly": {"selector": {"team": "data", "env": "prod"}, "maxTasks": 10, "launchesPerHour": 200},
        "all": {"maxTasks": 1_000_000},
    });
    let budgets = parse(&text.to_string()).unwrap();
    assert_eq!(budgets.iter().map(|budget| budget.name.as_str()).collect::<Vec<_>>(), ["all", "nightly"]);
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let (all, nightly) = (&budgets[0], &budgets[1]);
    assert!(all.selects(&labels(&[])), "an empty selector selects every job");
    assert!(nightly.selects(&labels(&[("team", "data"), ("env", "prod"), ("more", "x")])));
    assert!(!nightly.selects(&labels(&[("team", "data"), ("env", "test")])));
    assert!(!nightly.selects(&labels(&[("team", "data")])));
    let limits = BudgetLimit::ALL.map(|limit| nightly.limit(limit));
    assert_eq!(limits, [Some(10), Some(200), None, None, None]);
    assert_eq!(all.limit(BudgetLimit::LaunchesPerHour), None);
    assert!(parse("").unwrap().is_empty() && parse("{}").unwrap().is_empty());
}

#[test]
fn sizes_and_dollars_are_read_in_the_units_that_people_see() {
    let text = json!({"a": {"maxVcpu": 1.5, "maxMemory": 4096, "dollarsPerDay": 12.5,
                            "price": {"vcpuHour": 0.04048, "gbHour": 0.004_445}}});
    let budget = parse(&text.to_string()).unwrap().remove(0);
    let limits = BudgetLimit::ALL.map(|limit| budget.limit(limit));
    assert_eq!(limits, [None, None, Some(1_536), Some(4_096), Some(12_500_000)]);
    assert_eq!(budget.price, Some(ComputePrice { vcpu_hour: 40_480, gib_hour: 4_445 }));
    assert!((BudgetLimit::MaxVcpu.shown(1_536) - 1.5).abs() < f64::EPSILON);
}

#[test]
fn mistakes_name_their_key_and_the_remedy() {
    let named = |name: &str, budget: Value| json!({ name: budget });
    let cases = [
        (json!([1]), "budgets must contain the names of budgets as keys"),
        (named("a b", json!({"maxTasks": 1})), "a budget \"a b\"; a name has 1 to 64 letters"),
        (
            named("a", json!(3)),
            "budgets.a must contain selector and limits: maxTasks, launchesPerHour, maxVcpu",
        ),
        (named("a", json!({})), "budgets.a has no limit; give at least one of maxTasks, launchesPerHour"),
        (named("a", json!({"selector": {"x": "y"}})), "budgets.a has no limit"),
        (
            named("a", json!({"maxTasks": 0})),
            "budgets.a.maxTasks is 0; it must be a whole number of tasks from 1 to 1000000; to stop launches, use the brake",
        ),
        (named("a", json!({"launchesPerHour": -4})), "budgets.a.launchesPerHour is -4; it must be"),
        (named("a", json!({"maxTasks": 1_000_001})), "budgets.a.maxTasks is 1000001; it must be"),
        (named("a", json!({"maxTasks": 1.5})), "budgets.a.maxTasks is 1.5; it must be a whole number"),
        (named("a", json!({"maxTasks": "2"})), "budgets.a.maxTasks is \"2\"; it must be a whole number"),
        (
            named("a", json!({"maxTask": 1})),
            "budgets.a.maxTask is unknown; the keys are selector, maxTasks, ",
        ),
        (named("a", json!({"maxTasks": 1, "selector": ["x"]})), "budgets.a.selector must contain labels"),
        (named("a", json!({"maxTasks": 1, "selector": {"x": 1}})), "budgets.a.selector.x must be a text"),
        (
            named("a", json!({"maxTasks": 1, "selector": {"x": "y".repeat(257)}})),
            "budgets.a.selector.x matches no job, because none can have it: Longer than maximum length 256.",
        ),
        (named("a", json!({"maxTasks": 1, "selector": {"": "y"}})), "a label has 1 to 128 characters"),
        (named("a", json!({"maxTasks": 1, "selector": {"x\u{7}": "y"}})), "control character"),
        (
            named("a", json!({"maxVcpu": 0.05})),
            "budgets.a.maxVcpu is 0.05; it must be a number of vCPU from 0.1 to 1000000",
        ),
        (
            named("a", json!({"maxMemory": 0.5})),
            "budgets.a.maxMemory is 0.5; it must be a whole number of MiB from 1",
        ),
        (
            named("a", json!({"dollarsPerDay": -1})),
            "budgets.a.dollarsPerDay is -1; it must be a number of dollars from 0.01",
        ),
        (named("a", json!({"maxTasks": 1, "price": 3})), "budgets.a.price must contain vcpuHour and gbHour"),
        (named("a", json!({"maxTasks": 1, "price": {"vcpuHour": 1}})), "budgets.a.price.gbHour is missing"),
    ];
    for (given, expected) in cases {
        let problems = parse(&given.to_string()).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{given}: {problems:?}");
    }
    let wrong = json!({"a": {"maxTasks": 0, "maxVcpu": "x", "more": 1}, "b": {}});
    let problems = parse(&wrong.to_string()).unwrap_err();
    assert_eq!(problems.len(), 4, "all problems at once: {problems:?}");
    let many: Map<String, Value> =
        (0..17).map(|number| (format!("b{number}"), json!({"maxTasks": 1}))).collect();
    let problems = parse(&Value::from(many).to_string()).unwrap_err();
    assert_eq!(problems, ["budgets has 17 budgets; at most 16 are allowed"]);
}
