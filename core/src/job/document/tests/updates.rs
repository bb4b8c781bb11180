use super::*;

/// A stored job that uses what the Python version let through.
fn odd() -> Value {
    json!({
        "schedule": "0 0 0 * * lastfri", "taskCount": 60, "ghost": 1,
        "overrides": [{"containerName": "c", "environment": {"L": [1], "X": null}}],
    })
}

#[test]
fn an_update_replaces_whole_fields_and_null_removes_one() {
    let existing = plus(json!({
        "maxCount": 3, "timezone": "Asia/Tokyo", "taskCount": 2,
        "trigger": {"type": "sqs", "queueName": "q", "messagesPerTask": 5},
    }));
    let change = json!({"maxCount": null, "timezone": null, "trigger": {"type": "sqs", "queueName": "r"}});
    let prepared = update(&existing, change).unwrap();
    assert_eq!(
        Value::Object(prepared.document),
        plus(json!({"taskCount": 2, "trigger": {"type": "sqs", "queueName": "r"}}))
    );
    assert_eq!(prepared.job.timezone, "UTC");
}

#[test]
fn a_patch_merges_objects_inside_the_document() {
    let existing = plus(json!({
        "trigger": {"type": "sqs", "queueName": "q", "messagesPerTask": 5},
        "labels": {"a": "1", "b": "2"},
    }));
    let change =
        json!({"trigger": {"messagesPerTask": null, "queueName": "r"}, "labels": {"a": null, "c": "3"}});
    let document = patch(&existing, change).unwrap().document;
    assert_eq!(document["trigger"], json!({"type": "sqs", "queueName": "r"}));
    assert_eq!(document["labels"], json!({"b": "2", "c": "3"}));
}

#[test]
fn required_fields_cannot_be_removed() {
    let message = "Field may not be null.";
    for change in [update, patch] {
        let errors = change(&plus(json!({})), json!({"schedule": null, "taskDefinition": null})).unwrap_err();
        assert_eq!(messages(&errors), json!({"schedule": [message], "taskDefinition": [message]}));
    }
    let removed =
        update(&plus(json!({"trigger": {"type": "gauge", "ticks": "0 0 2"}})), json!({"schedule": null}));
    assert!(removed.unwrap().job.schedule.is_none());
}

#[test]
fn the_name_of_a_job_does_not_change() {
    for wrong in [json!("beta"), json!("a b"), json!(5), json!(null)] {
        assert_eq!(update(&plus(json!({})), json!({"id": wrong})).unwrap_err()[0].key, ["id"]);
    }
    assert!(!update(&plus(json!({})), json!({"id": "alpha"})).unwrap().document.contains_key("id"));
}

#[test]
fn bodies_that_are_no_objects_change_nothing() {
    for body in [json!(null), json!([]), json!(5), json!("x")] {
        assert!(update(&plus(json!({})), body.clone()).is_err());
        assert!(patch(&plus(json!({})), body).is_err());
    }
}

#[test]
fn unchanged_fields_of_an_update_are_read_leniently() {
    let prepared = update(&odd(), json!({"timezone": "Europe/Berlin"})).unwrap();
    assert_eq!(prepared.document["schedule"], "0 0 0 * * lastfri");
    assert_eq!(prepared.document["ghost"], 1);
    assert!(!prepared.document.contains_key("taskDefinition"));
    assert_eq!(prepared.job.task.overrides[0].environment["L"], "[1]");
}

#[test]
fn a_job_from_get_can_be_put() {
    let mut body = object(odd());
    body.insert("id".to_owned(), json!("alpha"));
    body.insert("link".to_owned(), json!({}));
    body.insert("estimatedNextRun".to_owned(), json!("2099-01-01T00:00:00+00:00"));
    assert!(update(&odd(), Value::Object(body)).is_ok());
}

#[test]
fn changed_fields_of_an_update_are_read_strictly() {
    for change in [
        json!({"taskCount": 61}),
        json!({"schedule": "0 0 0 * * lastmon"}),
        json!({"ghost": 2}),
        json!({"overrides": [{"containerName": "c", "environment": {"X": null}}]}),
    ] {
        assert_eq!(update(&odd(), change.clone()).unwrap_err().len(), 1, "{change}");
    }
}

#[test]
fn an_ended_job_can_still_be_updated() {
    let over = json!({"taskDefinition": "alpha", "schedule": "at(2020-01-01T00:00:00)"});
    assert!(load(over.clone()).is_ok());
    assert!(update(&over, json!({"suspended": true})).is_ok());
    assert!(update(&over, json!({"timezone": "Asia/Tokyo"})).is_err());
}

#[test]
fn resuming_removes_the_suspension_details() {
    let existing =
        plus(json!({"suspended": true, "suspension": {"reason": "x", "until": "2027-01-01T00:00:00Z"}}));
    let job = load(existing.clone()).unwrap();
    assert!(job.suspension_of(now()).is_some());
    assert!(job.suspension_of("2027-01-01T00:00:00Z".parse().unwrap()).is_none());
    let resumed = update(&existing, json!({"suspended": false})).unwrap();
    assert!(resumed.job.suspension.is_none());
    assert!(!resumed.document.contains_key("suspension"));
}
