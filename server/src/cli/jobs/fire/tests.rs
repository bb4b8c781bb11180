use clap::Parser;
use serde_json::{Value, json};

use super::{FireArgs, body, describe_result};

/// The arguments of `jobs fire`.
#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    fire: FireArgs,
}

fn parsed(arguments: &[&str]) -> Result<Value, String> {
    let line = Line::try_parse_from([&["fire", "nightly"], arguments].concat());
    line.map(|line| body(&line.fire)).map_err(|error| error.to_string())
}

#[test]
fn options_of_a_firing_are_its_body() {
    assert_eq!(parsed(&[]).unwrap(), json!({}));
    let list = r#"[{"containerName":"main","environment":{"DAY":"1"}}]"#;
    let given =
        parsed(&["--tasks", "3", "--scheduled-at", "2026-01-01T00:00:00Z", "--overrides", list]).unwrap();
    let expected = json!({
        "tasks": 3, "scheduledAt": "2026-01-01T00:00:00Z",
        "overrides": [{"containerName": "main", "environment": {"DAY": "1"}}],
    });
    assert_eq!(given, expected);
    assert!(parsed(&["--tasks", "0"]).unwrap_err().contains("--tasks"));
    assert!(parsed(&["--overrides", "{"]).unwrap_err().contains("not JSON"));
    assert!(parsed(&["--overrides", "{}"]).unwrap_err().contains("not a list"));
}

fn firing(state: &str, started: u32, more: &Value) -> Value {
    let mut firing = json!({
        "id": "0193f0", "job": "nightly", "state": state, "requested": 2, "started": started,
        "explanation": "fired by hand → 2", "attempts": [],
    });
    for (name, value) in more.as_object().unwrap() {
        firing[name] = value.clone();
    }
    firing
}

fn text(answer: &Value) -> String {
    describe_result(answer).unwrap()
}

fn refusal(answer: &Value) -> String {
    describe_result(answer).unwrap_err().lines().join("|")
}

#[test]
fn firing_shows_its_progress() {
    let none = json!({});
    assert_eq!(
        text(&firing("planned", 0, &none)),
        "fired nightly: 2 tasks to start (fired by hand → 2); firing 0193f0\n"
    );
    assert_eq!(
        text(&firing("launched", 2, &none)),
        "fired nightly: 2 tasks started (fired by hand → 2); firing 0193f0\n"
    );
    let note = json!({"note": "RESOURCE:MEMORY"});
    assert_eq!(
        text(&firing("finished", 1, &note)),
        "fired nightly: 1 of 2 tasks started (fired by hand → 2); firing 0193f0 is finished: RESOURCE:MEMORY\n"
    );
}

#[test]
fn a_decision_not_to_launch_is_no_firing() {
    let held = json!({
        "id": 26, "job": "ok", "outcome": "suspended", "launch": 0, "explanation": "the brake is on: runaway queue",
    });
    assert_eq!(refusal(&held), "job ok launched nothing: the brake is on: runaway queue (outcome suspended)");
}

#[test]
fn a_refused_firing_gives_the_reason_of_its_last_call() {
    let attempts = json!({"attempts": [
        {"answer": {"started": 0, "refused": [{"reason": "AGENT"}]}},
        {"answer": {"started": 0, "refused": [], "failed": "task definition \"nodef\" does not exist"}},
    ]});
    assert_eq!(
        refusal(&firing("refused", 0, &attempts)),
        "job nightly launched nothing: firing 0193f0 is refused: task definition \"nodef\" does not exist"
    );
    let lost = json!({"note": "no answer came"});
    assert_eq!(
        refusal(&firing("unknown", 0, &lost)),
        "it is not known whether job nightly launched 2 tasks: firing 0193f0 is unknown: no answer came"
    );
}
