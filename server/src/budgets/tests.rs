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
    assert_eq!((limits, all.limit(BudgetLimit::LaunchesPerHour)), ([Some(10), Some(200)], None));
    assert!(parse("").unwrap().is_empty() && parse("{}").unwrap().is_empty());
}

#[test]
fn mistakes_name_their_key_and_the_remedy() {
    let named = |name: &str, budget: Value| json!({ name: budget });
    let cases = [
        (json!([1]), "budgets must contain the names of budgets as keys"),
        (named("a b", json!({"maxTasks": 1})), "a budget \"a b\"; a name has 1 to 64 letters"),
        (named("a", json!(3)), "budgets.a must contain selector and limits: maxTasks, launchesPerHour"),
        (named("a", json!({})), "budgets.a has no limit; give at least one of maxTasks, launchesPerHour"),
        (named("a", json!({"selector": {"x": "y"}})), "budgets.a has no limit"),
        (
            named("a", json!({"maxTasks": 0})),
            "budgets.a.maxTasks is 0; it must be a whole number from 1 to 1000000",
        ),
        (named("a", json!({"launchesPerHour": -4})), "budgets.a.launchesPerHour is -4; it must be"),
        (named("a", json!({"maxTasks": 1_000_001})), "budgets.a.maxTasks is 1000001"),
        (named("a", json!({"maxTasks": 1.5})), "budgets.a.maxTasks"),
        (named("a", json!({"maxTask": 1})), "maxTask"),
        (named("a", json!({"maxTasks": 1, "selector": ["x"]})), "budgets.a.selector"),
        (named("a", json!({"maxTasks": 1, "selector": {"x": 1}})), "budgets.a.selector.x"),
        (
            named("a", json!({"maxTasks": 1, "selector": {"x": "y".repeat(257)}})),
            "budgets.a.selector.x matches no job, because none can have it: Longer than maximum length 256.",
        ),
        (named("a", json!({"maxTasks": 1, "selector": {"": "y"}})), "a label has 1 to 128 characters"),
        (named("a", json!({"maxTasks": 1, "selector": {"x\u{7}": "y"}})), "control character"),
    ];
    for (given, expected) in cases {
        let problem = parse(&given.to_string()).unwrap_err();
        assert!(problem.contains(expected), "{given}: {problem}");
    }
    let many: Map<String, Value> =
        (0..17).map(|number| (format!("b{number}"), json!({"maxTasks": 1}))).collect();
    let problem = parse(&Value::from(many).to_string()).unwrap_err();
    assert_eq!(problem, "budgets has 17 budgets; at most 16 are allowed");
}
