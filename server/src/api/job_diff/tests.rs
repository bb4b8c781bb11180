use serde_json::{Value, json};

use super::differences;

fn compared(before: &Value, after: &Value) -> Value {
    let (before, after) = (before.as_object().unwrap(), after.as_object().unwrap());
    serde_json::to_value(differences(before, after)).unwrap()
}

#[test]
fn only_the_innermost_differences_are_listed() {
    let before =
        json!({"a": 1, "labels": {"team": "x", "tier": "gold"}, "list": [1, {"b": 2}, 3], "old": true});
    let after = json!({"a": 1, "labels": {"team": "y", "tier": "gold"}, "list": [1, {"b": 3}], "new": null});
    assert_eq!(
        compared(&before, &after),
        json!([
            {"pointer": "/labels/team", "before": "x", "after": "y"},
            {"pointer": "/list/1/b", "before": 2, "after": 3},
            {"pointer": "/list/2", "before": 3},
            {"pointer": "/old", "before": true},
            {"pointer": "/new", "after": null},
        ])
    );
    assert_eq!(compared(&after, &after), json!([]));
}

#[test]
fn names_are_escaped_and_a_changed_kind_is_one_difference() {
    assert_eq!(
        compared(&json!({"a/b~c": {"x": 1}}), &json!({"a/b~c": [1]})),
        json!([{"pointer": "/a~1b~0c", "before": {"x": 1}, "after": [1]}])
    );
}
