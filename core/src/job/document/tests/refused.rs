use super::*;

const NAME: &str = "task definition names must contain only alphanumeric, underscore, and hyphen";

/// A request body, and the expected messages.
fn assert_refused(cases: &[(Value, Value)]) {
    for (body, expected) in cases {
        let errors = create(body.clone()).expect_err(&body.to_string());
        assert_eq!(&messages(&errors), expected, "{body}");
    }
}

#[test]
fn mode_that_allows_no_retry_is_refused_for_a_job_that_has_one() {
    let job = plus(json!({"retry": {"task": {"attempts": 1}}}));
    let errors = update(&job, json!({"trigger": {"type": "sqs"}, "mode": "drain"})).unwrap_err();
    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/retry/task"]);
}

#[test]
fn a_body_that_is_no_object_is_rejected() {
    for body in [json!([]), json!(null), json!(5), json!("x"), json!(true)] {
        let errors = create(body).unwrap_err();
        assert_eq!(messages(&errors), json!({"_schema": ["Invalid input type."]}));
        assert_eq!(errors[0].pointer, "");
    }
}

#[test]
fn missing_fields_are_named() {
    let missing = "Missing data for required field.";
    assert_refused(&[
        (json!({}), json!({"taskDefinition": [missing], "schedule": [missing]})),
        (json!({"schedule": "0"}), json!({"taskDefinition": [missing]})),
        (json!({"taskDefinition": "alpha"}), json!({"schedule": [missing]})),
        (json!({"taskDefinition": "alpha", "trigger": {"type": "gauge"}}), json!({"schedule": [missing]})),
        (
            json!({"taskCount": "x"}),
            json!({"taskDefinition": [missing], "schedule": [missing], "taskCount": ["Not a valid integer."]}),
        ),
    ]);
}

#[test]
fn details_of_a_suspension_without_the_suspension_are_refused() {
    let needs = json!({"suspension": ["Needs \"suspended\": true. Without it, the job fires."]});
    let details = json!({"reason": "holidays", "until": "2030-01-31T09:00:00Z"});
    assert_refused(&[
        (plus(json!({"suspension": details})), needs.clone()),
        (plus(json!({"suspended": false, "suspension": details})), needs.clone()),
        (
            plus(json!({"suspended": "maybe", "suspension": details})),
            json!({"suspended": ["Not a valid boolean."]}),
        ),
    ]);
    let suspended = plus(json!({"suspended": true, "suspension": details}));
    let errors =
        update(&suspended, json!({"suspended": false, "suspension": {"reason": "later"}})).unwrap_err();
    assert_eq!(messages(&errors), needs, "an edit");
    let resumed = update(&suspended, json!({"suspended": false})).unwrap();
    assert!(resumed.document.get("suspension").is_none(), "the stored details end with the suspension");
    assert!(load(plus(json!({"suspension": details}))).unwrap().suspension.is_none(), "stored before");
}

#[test]
fn text_that_is_no_datetime_gives_the_valid_forms() {
    for text in ["2030-01-01", "2030-01-01T09:00:00[Europe/Berlin]", "9999-12-31T23:59:59Z", "tomorrow"] {
        let until = json!({"suspended": true, "suspension": {"until": text}});
        for (field, body) in
            [("/scheduleStart", json!({"scheduleStart": text})), ("/suspension/until", until)]
        {
            let errors = create(plus(body)).unwrap_err();
            assert_eq!(errors[0].pointer, field);
            let explained = errors[0].explained();
            assert!(explained.starts_with("Not a valid datetime. Write "), "{explained}");
            for form in ["2030-01-31T09:00:00Z", "2030-01-31T09:00:00+01:00"] {
                assert!(explained.contains(form), "{explained}");
                assert!(create(plus(json!({"scheduleStart": form}))).is_ok(), "{form}");
            }
        }
    }
}

#[test]
fn invalid_names_are_rejected_once_at_their_field() {
    let all_wrong = [json!("a b"), json!("a:b"), json!(""), json!("a/b"), json!("foo\n"), json!("\u{212a}")];
    for wrong in all_wrong {
        let body = json!({"taskDefinition": wrong, "schedule": "0"});
        assert_refused(&[(body, json!({"taskDefinition": [NAME]}))]);
        assert_refused(&[(plus(json!({"id": wrong})), json!({"id": [NAME]}))]);
    }
    let long = "x".repeat(256);
    assert_refused(&[
        (plus(json!({"taskDefinition": null})), json!({"taskDefinition": ["Field may not be null."]})),
        (plus(json!({"taskDefinition": 5})), json!({"taskDefinition": ["Not a valid string."]})),
        (plus(json!({"id": null})), json!({"id": ["Field may not be null."]})),
        (plus(json!({"id": 7})), json!({"id": ["Not a valid string."]})),
        (
            plus(json!({"id": "c d", "taskDefinition": "a b"})),
            json!({"id": [NAME], "taskDefinition": [NAME]}),
        ),
        (plus(json!({"taskDefinition": "fam:3"})), json!({"taskDefinition": [write::NO_ID]})),
        (plus(json!({"id": "x", "taskDefinition": "fam:0"})), json!({"taskDefinition": [NAME]})),
        (plus(json!({"id": "x", "taskDefinition": "fam:+1"})), json!({"taskDefinition": [NAME]})),
        (
            plus(json!({"id": "x", "taskDefinition": "arn:aws:ecs:x"})),
            json!({"taskDefinition": [task::WRONG_ARN]}),
        ),
        (plus(json!({"id": long})), json!({"id": ["Longer than maximum length 255."]})),
    ]);
}

#[test]
fn every_field_rejects_every_wrong_type() {
    let string = "Not a valid string.";
    let duration = "Not a valid duration: write a string such as \"90s\", \"5m\" or \"1h30m\".";
    let whole = |field: &str| json!({field: {"_schema": ["Invalid input type."]}});
    let of = |field: &str, message: &str| json!({field: [message]});
    let fields: Vec<(&str, Value)> = vec![
        ("schedule", of("schedule", string)),
        ("timezone", of("timezone", string)),
        ("description", of("description", string)),
        ("overlap", of("overlap", string)),
        ("mode", of("mode", string)),
        ("taskCount", of("taskCount", "Not a valid integer.")),
        ("maxCount", of("maxCount", "Not a valid integer.")),
        ("suspended", of("suspended", "Not a valid boolean.")),
        ("scheduleStart", of("scheduleStart", "Not a valid datetime.")),
        ("scheduleEnd", of("scheduleEnd", "Not a valid datetime.")),
        ("labels", of("labels", "Not a valid mapping type.")),
        ("settle", of("settle", duration)),
        ("cooldown", of("cooldown", duration)),
        ("jitter", of("jitter", duration)),
        ("timeout", of("timeout", duration)),
        ("startTimeout", of("startTimeout", duration)),
        ("catchUp", whole("catchUp")),
        ("onError", whole("onError")),
        ("retry", whole("retry")),
        ("history", whole("history")),
        ("launch", whole("launch")),
        ("overrides", of("overrides", "Not a valid list.")),
    ];
    for (field, expected) in fields {
        for wrong in [json!(5.5), json!([]), json!([1]), json!({"x": 1})] {
            let fitting = match field {
                "overrides" => wrong.is_array(),
                "labels" | "catchUp" | "onError" | "retry" | "history" | "launch" => wrong.is_object(),
                "schedule" => wrong == json!([1]),
                _ => false,
            };
            if !fitting {
                assert_refused(&[(plus(json!({field: wrong})), expected.clone())]);
            }
        }
        let null = of(field, "Field may not be null.");
        assert_refused(&[(plus(json!({field: null})), null)]);
    }
}

#[test]
fn counts_outside_their_bounds_are_rejected() {
    let between = "Must be between 1 and 50.";
    for (wrong, message) in [
        (json!(0), between),
        (json!(51), between),
        (json!(-1), between),
        (json!(1e300), between),
        (json!("99999999999999999999999"), between),
        (json!("-3"), between),
        (json!(5.7), "Not a valid integer."),
        (json!(true), "Not a valid integer."),
        (json!(""), "Not a valid integer."),
        (json!("abc"), "Not a valid integer."),
        (json!("1_0"), "Not a valid integer."),
        (json!("٣"), "Not a valid integer."),
    ] {
        for field in ["taskCount", "maxCount"] {
            assert_refused(&[(plus(json!({field: wrong})), json!({field: [message]}))]);
        }
    }
}

#[test]
fn invalid_schedules_are_rejected_with_the_python_versions_messages() {
    let syntax = |text: &str| json!({"parsedSchedule": [format!("Invalid schedule syntax: {text}")]});
    assert_refused(&[
        (
            plus(json!({"schedule": "60"})),
            syntax(
                "Error validating expression '60': the last value (60) is higher than the maximum value (59)",
            ),
        ),
        (plus(json!({"schedule": "0 0 0 monday"})), syntax("Invalid weekday name \"monday\"")),
        (
            plus(json!({"timezone": "Nope/Never"})),
            json!({"timezone": ["Invalid timezone format: Nope/Never"]}),
        ),
    ]);
    for schedule in [json!(""), json!("   "), json!("0 0 0 * * lastfri"), json!(["0", "0 0 0 mon-fri/2"])] {
        let errors = create(plus(json!({"schedule": schedule}))).unwrap_err();
        assert_eq!(errors.len(), 1, "{schedule}");
        assert_eq!(errors[0].key, ["parsedSchedule"], "{schedule}");
    }
    let second = create(plus(json!({"schedule": ["0", "99"]}))).unwrap_err();
    assert_eq!(second[0].pointer, "/schedule/1");
}

#[test]
fn a_schedule_without_future_ticks_is_rejected_but_a_past_end_is_accepted() {
    for schedule in ["0 0 0 * * 31 2", "0 0 0 * * 1 1 2020", "at(2020-01-01T00:00:00)"] {
        let errors = create(plus(json!({"schedule": schedule}))).unwrap_err();
        assert!(errors[0].message.starts_with("Schedule never fires after "), "{errors:?}");
        assert_eq!(errors[0].pointer, "/schedule");
    }
    assert!(create(plus(json!({"scheduleEnd": "2020-01-01T00:00:00Z"}))).is_ok());
}

#[test]
fn invalid_overrides_are_rejected_at_their_field() {
    let missing = "Missing data for required field.";
    let of = |index: &str, inner: Value| json!({"overrides": {index: inner}});
    let sent = |overrides: Value| plus(json!({"overrides": overrides}));
    assert_refused(&[
        (sent(json!([{}])), of("0", json!({"containerName": [missing]}))),
        (
            sent(json!([{"containerName": null}])),
            of("0", json!({"containerName": ["Field may not be null."]})),
        ),
        (sent(json!([{"containerName": 5}])), of("0", json!({"containerName": ["Not a valid string."]}))),
        (
            sent(json!([{"containerName": "c"}, {"environment": 5}])),
            of("1", json!({"environment": ["Not a valid mapping type."], "containerName": [missing]})),
        ),
        (
            sent(json!([{"containerName": "c", "environment": null}])),
            of("0", json!({"environment": ["Field may not be null."]})),
        ),
        (
            sent(json!([{"containerName": "c", "environment": {"A": {}, "B": null}}])),
            of("0", json!({"environment": {"A": ["Not a valid string."], "B": ["Not a valid string."]}})),
        ),
        (sent(json!(["x"])), of("0", json!({"_schema": ["Invalid input type."]}))),
        (sent(json!([null])), of("0", json!(["Field may not be null."]))),
        (
            sent(json!([{"containerName": "c", "command": "ls"}])),
            of("0", json!({"command": ["Not a valid list."]})),
        ),
        (
            sent(json!([{"containerName": "c", "command": ["ls", 1]}])),
            of("0", json!({"command": {"1": ["Not a valid string."]}})),
        ),
        (
            sent(json!([{"containerName": "c", "cpu": "x"}])),
            of("0", json!({"cpu": ["Not a valid integer."]})),
        ),
        (
            sent(json!([{"containerName": "c", "environmentFiles": {}}])),
            of("0", json!({"environmentFiles": ["Not a valid list."]})),
        ),
        (
            sent(json!([{"containerName": "c", "enviroment": {}}])),
            of("0", json!({"enviroment": ["Unknown field. Did you mean \"environment\"?"]})),
        ),
        (
            sent(json!([{"containerName": "c", "environment": {"A": "é".repeat(8_192)}}])),
            json!({"overrides": ["Longer than maximum length 8192 as JSON."]}),
        ),
    ]);
}

#[test]
fn invalid_policies_are_rejected_at_their_field() {
    assert_refused(&[
        (
            plus(json!({"overlap": "no"})),
            json!({"overlap": ["Must be one of: topUp, skip, allow, replace."]}),
        ),
        (plus(json!({"settle": "2h"})), json!({"settle": ["Must be between 0s and 1h."]})),
        (plus(json!({"timeout": "0s"})), json!({"timeout": ["Must be between 1s and 31d."]})),
        (
            plus(json!({"catchUp": {"policy": "some", "window": "40d", "max": 0}})),
            json!({"catchUp": {
                "policy": ["Must be one of: latest, all, none."],
                "window": ["Must be between 0s and 31d."],
                "max": ["Must be between 1 and 1000."],
            }}),
        ),
        (
            plus(json!({"onError": {"assume": 51}})),
            json!({"onError": {"assume": ["Must be between 0 and 50."], "after": ["Missing data for required field."]}}),
        ),
        (
            plus(json!({"onError": "stop"})),
            json!({"onError": ["Must be \"hold\" or an object with `assume` and `after`."]}),
        ),
        (
            plus(json!({"history": {"keep": 0, "days": 36_501, "years": 1}})),
            json!({"history": {
                "keep": ["Must be between 1 and 10000."],
                "days": ["Must be between 1 and 36500."],
                "years": ["Unknown field."],
            }}),
        ),
        (plus(json!({"history": 30})), json!({"history": {"_schema": ["Invalid input type."]}})),
        (
            plus(json!({"breaker": {"failures": 0, "delay": "2h", "pause": 1}})),
            json!({"breaker": {
                "failures": ["Must be between 1 and 100."],
                "delay": ["Must be between 1s and 1h."],
                "pause": ["Unknown field."],
            }}),
        ),
        (
            plus(json!({"breaker": {"delay": "1m"}})),
            json!({"breaker": {"failures": ["Missing data for required field."]}}),
        ),
        (plus(json!({"breaker": 3})), json!({"breaker": {"_schema": ["Invalid input type."]}})),
        (
            plus(json!({"retry": {"task": {}}})),
            json!({"retry": {"task": {"attempts": ["Missing data for required field."]}}}),
        ),
        (
            plus(json!({"retry": {"task": {"attempts": 11, "backoff": "2h", "rules": [
                {"action": "again", "exitCode": 256}, {"action": "retry"}, {"stopCode": "", "action": "fail"},
            ]}}})),
            json!({"retry": {"task": {
                "attempts": ["Must be between 1 and 10."], "backoff": ["Must be between 0s and 1h."],
                "rules": {
                    "0": {"action": ["Must be one of: retry, fail."], "exitCode": ["Must be between 1 and 255."]},
                    "1": ["Needs exactly one of exitCode, stopCode, reason."],
                    "2": {"stopCode": ["Must not be empty."]},
                },
            }}}),
        ),
        (
            plus(json!({"trigger": {"type": "sqs"}, "mode": "drain", "retry": {"task": {"attempts": 1}}})),
            json!({"retry": {"task": ["Must be absent with `mode` oneShot or drain: the queue delivers the message of a failed task again."]}}),
        ),
        (
            plus(json!({"retry": {"launch": {"maxAge": "2d"}}})),
            json!({"retry": {"launch": {"maxAge": ["Must be between 1s and 1d."]}}}),
        ),
    ]);
}

#[test]
fn unsupported_settings_are_rejected_with_the_reason() {
    assert_refused(&[
        (
            plus(json!({"launch": {"cluster": "x"}})),
            json!({"launch": {"_schema": ["The launcher in use takes no options."]}}),
        ),
        (
            plus(json!({"mode": "drain"})),
            json!({"mode": ["Needs a trigger that counts the messages of a queue: write \"total\"."]}),
        ),
        (
            plus(json!({"trigger": {"type": "gauge"}, "mode": "oneShot"})),
            json!({"mode": ["Needs a trigger that counts the messages of a queue: write \"total\"."]}),
        ),
        (
            plus(json!({"trigger": {"type": "sqs"}, "mode": "oneShot", "overlap": "allow"})),
            json!({"overlap": [
                "Must be topUp with `mode` oneShot or drain, which subtract running tasks themselves."
            ]}),
        ),
        (
            plus(json!({"trigger": {"type": "gauge"}, "catchUp": {"policy": "all"}})),
            json!({"catchUp": {"policy": [
                "Must be latest or none: the trigger measures the present, so a past tick cannot be evaluated."
            ]}}),
        ),
    ]);
}

#[test]
fn invalid_triggers_are_rejected_at_their_field() {
    let sent = |trigger: Value| plus(json!({"trigger": trigger}));
    assert_refused(&[
        (sent(json!({})), json!({"trigger": {"type": ["Missing data for required field."]}})),
        (sent(json!(null)), json!({"trigger": ["Field may not be null."]})),
        (sent(json!({"type": 5})), json!({"trigger": {"type": ["Not a valid string."]}})),
        (
            sent(json!({"type": "sqz"})),
            json!({"trigger": {"type": [
                "unknown trigger type \"sqz\"; installed are gauge, sqs (did you mean \"sqs\"?)"
            ]}}),
        ),
        (sent(json!("sqs")), json!({"trigger": {"_schema": ["a trigger is an object with a `type`"]}})),
    ]);
    let errors = create(sent(json!({"type": "gauge", "ticks": "99"}))).unwrap_err();
    assert_eq!(
        (errors[0].pointer.as_str(), errors[0].key.join(".")),
        ("/trigger/ticks", "trigger.ticks".into())
    );
}

#[test]
fn unknown_fields_are_rejected_with_the_nearest_name() {
    assert_refused(&[
        (
            plus(json!({"task_count": 2})),
            json!({"task_count": ["Unknown field. Did you mean \"taskCount\"?"]}),
        ),
        (plus(json!({"scedule": "0"})), json!({"scedule": ["Unknown field. Did you mean \"schedule\"?"]})),
        (plus(json!({"zzz": 1})), json!({"zzz": ["Unknown field."]})),
    ]);
}

#[test]
fn labels_and_descriptions_have_bounds() {
    let many: Map<String, Value> = (0..65).map(|n| (format!("l{n}"), json!("x"))).collect();
    assert_refused(&[
        (plus(json!({"labels": many})), json!({"labels": {"_schema": ["At most 64 labels."]}})),
        (plus(json!({"labels": {"a": 5}})), json!({"labels": {"a": ["Not a valid string."]}})),
        (
            plus(json!({"labels": {"": "x"}})),
            json!({"labels": {"": ["The name of a label has 1 to 128 characters."]}}),
        ),
        (
            plus(json!({"description": "x".repeat(1_025)})),
            json!({"description": ["Longer than maximum length 1024."]}),
        ),
    ]);
}

#[test]
fn names_of_environment_variables_have_no_equals_sign_and_nothing_that_acts() {
    for (name, code) in
        [("A\u{1b}", "001B"), ("A=B", "003D"), ("A\nB", "000A"), ("\t", "0009"), ("\u{202e}", "202E")]
    {
        let message =
            format!("Contains U+{code}, which a name of an environment variable cannot have; remove it.");
        assert_refused(&[(
            plus(json!({"overrides": [{"containerName": "c", "environment": {name: "x"}}]})),
            json!({"overrides": {"0": {"environment": {name: [message]}}}}),
        )]);
    }
    let values = json!([{"containerName": "c", "environment": {"A.b-c d": "\u{1b}[0m=\n"}}]);
    assert!(create(plus(json!({ "overrides": values }))).is_ok(), "values are passed on unchanged");
}

#[test]
fn all_errors_of_a_document_are_reported_together() {
    let body = json!({
        "taskDefinition": "a b", "schedule": "99", "taskCount": 0, "maxCount": 99, "timezone": "Nope",
        "suspended": "maybe", "scheduleStart": "x", "scheduleEnd": "y", "trigger": {}, "overrides": [{}],
    });
    let errors = create(body).unwrap_err();
    let fields: std::collections::BTreeSet<&str> = errors.iter().map(|error| error.key[0].as_str()).collect();
    assert_eq!(errors.len(), 10, "{errors:?}");
    assert_eq!(fields.len(), 10, "{errors:?}");
}

#[test]
fn documents_too_large_or_too_deep_are_rejected() {
    let large = create(plus(json!({"trigger": {"type": "gauge", "ticks": "x".repeat(MAX_DOCUMENT)}})));
    assert_eq!(large.unwrap_err()[0].message, "Longer than maximum length 131072 as JSON.");
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!([deep]);
    }
    let deep = create(plus(json!({"trigger": {"type": "gauge", "ticks": deep}})));
    assert_eq!(deep.unwrap_err()[0].message, "Nested more than 32 deep.");
}
