use serde_json::json;

use super::describe;

#[test]
fn a_change_is_shown_by_its_differences_ticks_and_decision() {
    let answer = json!({
        "id": "report",
        "effect": "change",
        "diff": [
            {"pointer": "/taskCount", "before": 2, "after": 3},
            {"pointer": "/description", "after": "a\u{1b}b"},
            {"pointer": "/maxCount", "before": null},
        ],
        "description": "At 02:30:00, UTC",
        "next": ["2027-01-01T02:30:00+00:00"],
        "evaluation": {"outcome": "launched", "launch": 3, "explanation": "due, taskCount → 3", "steps": []},
        "warnings": ["odd"],
    });
    assert_eq!(
        describe(&answer),
        "would change report\n  /taskCount: 2 → 3\n  /description: added \"a\\u001bb\"\n  /maxCount: removed, was null\n\
         a tick that is due now: launched, 3 to launch\n  due, taskCount → 3\n\
         At 02:30:00, UTC\n  2027-01-01T02:30:00+00:00\nwarning: odd\n"
    );
}

#[test]
fn a_write_without_effect_says_so() {
    let answer = json!({"id": "report", "effect": "none", "diff": [], "next": []});
    assert_eq!(describe(&answer), "report would stay as it is\n  no further tick\n");
}
