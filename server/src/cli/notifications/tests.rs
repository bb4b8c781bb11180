use insta::assert_snapshot;
use serde_json::json;

use super::shown;

#[test]
fn channels_and_deliveries_are_tables() {
    let entry = json!({"id": "a", "channel": "ops", "kind": "failing", "summary": "job report fails: x",
        "at": "2027-01-01T00:00:00Z", "attempts": 2, "error": "the receiver answered 500"});
    let mut pending = entry.clone();
    pending["nextAttempt"] = "2027-01-01T00:01:00Z".into();
    let answer = json!({
        "channels": [
            {"name": "chat", "configured": true, "pending": 0},
            {"name": "ops", "configured": true, "pending": 1, "oldest": "2027-01-01T00:00:00Z",
             "error": "the receiver answered 500"},
        ],
        "pending": [pending],
        "failed": [entry],
    });
    assert_snapshot!(shown(&answer), @r"
    CHANNEL  CONFIGURED  PENDING  OLDEST                LAST ERROR
    chat     yes         0        –                     –
    ops      yes         1        2027-01-01T00:00:00Z  the receiver answered 500

    WAITING  AT                    ATTEMPTS  NEXT ATTEMPT          NOTIFICATION         ERROR
    ops      2027-01-01T00:00:00Z  2         2027-01-01T00:01:00Z  job report fails: x  the receiver answered 500

    GIVEN UP  AT                    ATTEMPTS  NOTIFICATION         ERROR
    ops       2027-01-01T00:00:00Z  2         job report fails: x  the receiver answered 500
    ");
}

#[test]
fn nothing_configured_is_said() {
    let nothing = json!({"channels": [], "pending": [], "failed": []});
    assert!(shown(&nothing).starts_with("no channel is configured"));
}
