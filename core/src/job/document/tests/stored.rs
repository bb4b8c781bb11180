use super::*;

#[test]
fn values_accepted_by_the_python_version_load_with_their_meaning() {
    let job = load(json!({
        "schedule": "0 0 0 * * lastfri", "taskCount": 50, "timezone": "", "ghost": {}, "maxCount": null,
        "trigger": {"type": "noop"}, "notify": [],
        "overrides": [
            {"containerName": "c"},
            {"containerName": "d", "environment": {"F": 1.5, "L": [1, "a"], "N": 5, "O": {"k": "v"}, "T": true, "X": null}},
        ],
    }))
    .unwrap();
    assert_eq!(job.task.definition, "alpha");
    assert!(job.task.overrides[0].environment.is_empty());
    let environment = &job.task.overrides[1].environment;
    let values: Vec<&str> = environment.values().map(String::as_str).collect();
    assert_eq!(values, ["1.5", "[1,\"a\"]", "5", "{\"k\":\"v\"}", "true", ""]);
    assert!(job.trigger.is_none());
}

#[test]
fn empty_overrides_are_no_overrides() {
    let prepared = update(&plus(json!({})), json!({"overrides": []})).unwrap();
    assert!(prepared.job.task.overrides.is_empty());
    assert_eq!(prepared.document["overrides"], json!([]));
}

#[test]
fn a_count_above_a_lowered_ceiling_loads_and_is_limited_by_it() {
    let registry = registry();
    let cx = JobContext { max_tasks: NonZeroU32::new(5).unwrap(), ..context(&registry, Strictness::Lenient) };
    let job = Job::parse(&id("alpha"), &object(plus(json!({"taskCount": 50, "maxCount": 40}))), &cx).unwrap();
    assert_eq!(job.scaling.limit(), 5);
}

#[test]
fn an_unknown_trigger_is_an_error_that_names_it() {
    let errors = load(plus(json!({"trigger": {"type": "kafka"}}))).unwrap_err();
    assert!(errors[0].message.starts_with("unknown trigger type \"kafka\""), "{errors:?}");
}

#[test]
fn an_empty_schedule_is_an_error() {
    assert!(load(plus(json!({"schedule": ""}))).is_err());
}

#[test]
fn a_stored_document_that_is_no_object_is_an_error() {
    let registry = registry();
    let stored = StoredJob {
        id: id("alpha"),
        uid: crate::job::JobUid::random(),
        revision: crate::job::Revision(1),
        document: serde_json::value::RawValue::from_string("[]".to_owned()).unwrap(),
        created: now(),
        changed: now(),
        progress: crate::job::Progress::default(),
    };
    assert_eq!(stored.parse(&context(&registry, Strictness::Lenient)).unwrap_err()[0].pointer, "");
}

/// Documents as the Python version wrote them, and what its API said of each: the next run, if there was one.
#[test]
fn documents_of_the_python_version_load_and_keep_their_ticks() {
    let text = include_str!("../../../../tests/fixtures/jobs/python-version.json");
    let documents: Map<String, Value> = serde_json::from_str(text).unwrap();
    let registry = registry();
    let cx = context(&registry, Strictness::Lenient);
    let next = |name: &str| {
        let job = Job::parse(&id(name), documents[name].as_object().unwrap(), &cx).unwrap();
        job.ticks().unwrap().next_after(now()).unwrap().to_string()
    };
    for name in documents.keys() {
        next(name);
    }
    assert_eq!(documents.len(), 12);
    for (name, expected) in [
        ("minimal", "2099-01-01T00:00:00Z"),
        ("everything", "2098-01-01T05:30:00Z"),
        ("naive-dates", "2099-01-01T05:00:00Z"),
        ("no-task-definition", "2099-01-01T00:00:00Z"),
        ("wildcards", "2099-01-01T21:36:51Z"),
        ("UPDATED_9", "2098-12-31T15:00:00Z"),
    ] {
        assert_eq!(next(name), expected, "{name}");
    }
}

#[test]
fn documents_of_the_python_version_can_be_updated() {
    let text = include_str!("../../../../tests/fixtures/jobs/python-version.json");
    let documents: Map<String, Value> = serde_json::from_str(text).unwrap();
    let registry = registry();
    let cx = context(&registry, Strictness::Strict);
    for (name, document) in documents {
        let existing = document.as_object().unwrap();
        let prepared = prepare_update(&id(&name), existing, document.clone(), &cx, now()).unwrap();
        assert_eq!(prepared.document["schedule"], existing["schedule"], "{name}");
    }
}
