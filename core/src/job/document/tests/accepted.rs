use super::*;

#[test]
fn an_ordinary_document_gets_its_defaults() {
    let prepared = create(plus(json!({}))).unwrap();
    assert_eq!(
        Value::Object(prepared.document),
        json!({"taskDefinition": "alpha", "schedule": "0 0 0 * * 1 1 2099", "taskCount": 1})
    );
    let job = prepared.job;
    assert_eq!(
        (job.id.as_str(), job.task.definition.as_str(), job.timezone.as_str()),
        ("alpha", "alpha", "UTC")
    );
    assert_eq!(job.ticks().unwrap().next_after(now()), Some("2099-01-01T00:00:00Z".parse().unwrap()));
    assert!(job.trigger.is_none() && job.suspension.is_none());
    assert_eq!(job.policy, crate::policy::Policy::default());
}

#[test]
fn every_policy_reaches_the_job() {
    let job = create(plus(json!({
        "mode": "total", "overlap": "replace", "settle": "90s", "cooldown": "5m", "jitter": "1500ms",
        "timeout": "1h30m", "startTimeout": "10m", "catchUp": {"policy": "all", "window": "2h", "max": 3},
        "onError": {"assume": 2, "after": 5}, "retry": {"launch": {"maxAge": "1m"}, "task": {
            "attempts": 3, "backoff": "30s", "rules": [
                {"exitCode": 3, "action": "fail"}, {"stopCode": "SpotInterruption", "action": "retry"},
                {"reason": "cannot pull", "action": "retry"},
            ]}},
        "breaker": {"failures": "3", "delay": "2m"}, "succeedsBy": "main", "taskCount": "5", "maxCount": 7.0, "labels": {"team": "x"}, "description": "nightly",
    })))
    .unwrap()
    .job;
    assert_eq!(job.task.succeeds_by.as_deref(), Some("main"));
    let policy = job.policy;
    assert_eq!(policy.overlap, Overlap::Replace);
    assert_eq!(policy.settle, Duration::from_secs(90));
    assert_eq!(policy.cooldown, Some(Duration::from_secs(300)));
    assert_eq!(policy.jitter, Some(Duration::from_millis(1_500)));
    assert_eq!(policy.timeout, Some(Duration::from_secs(5_400)));
    assert_eq!(policy.start_timeout, Some(Duration::from_secs(600)));
    assert_eq!(policy.catch_up.policy, CatchUpPolicy::All);
    assert_eq!((policy.catch_up.window.as_secs(), policy.catch_up.max.get()), (7_200, 3));
    assert_eq!(policy.on_error, OnError::Assume { tasks: 2, after: NonZeroU32::new(5).unwrap() });
    assert_eq!(policy.launch_max_age, Duration::from_secs(60));
    let rule = |condition, action| RetryRule { condition, action };
    let rules = vec![
        rule(RetryCondition::ExitCode(3), RetryAction::Fail),
        rule(RetryCondition::StopCode("SpotInterruption".to_owned()), RetryAction::Retry),
        rule(RetryCondition::Reason("cannot pull".to_owned()), RetryAction::Retry),
    ];
    let (attempts, backoff) = (NonZeroU32::new(3).unwrap(), Duration::from_secs(30));
    assert_eq!(policy.task_retry, Some(TaskRetry { attempts, backoff, rules }));
    let failures = NonZeroU32::new(3).unwrap();
    assert_eq!(policy.breaker, Some(Breaker { failures, delay: Duration::from_secs(120) }));
    assert_eq!((job.scaling.floor.get(), job.scaling.cap.unwrap().get()), (5, 7));
}

#[test]
fn a_breaker_without_a_delay_has_the_default() {
    let prepared = create(plus(json!({"breaker": {"failures": "3"}}))).unwrap();
    assert_eq!(prepared.document["breaker"], json!({"failures": 3}));
    assert_eq!(prepared.job.policy.breaker.unwrap().delay, Breaker::DEFAULT_DELAY);
}

#[test]
fn the_queue_modes_have_a_default_settle_of_a_minute() {
    for (mode, default) in [("total", 10), ("oneShot", 60), ("drain", 60)] {
        let body = json!({"trigger": {"type": "sqs"}, "mode": mode});
        assert_eq!(create(plus(body.clone())).unwrap().job.policy.settle.as_secs(), default, "{mode}");
        let mut own = body;
        own["settle"] = "10s".into();
        assert_eq!(create(plus(own)).unwrap().job.policy.settle.as_secs(), 10, "{mode}");
    }
}

#[test]
fn values_get_their_canonical_form() {
    let document = create(plus(json!({
        "taskCount": " 5 ", "maxCount": 7.0, "suspended": "True",
        "scheduleStart": "2098-6-1T2:3", "scheduleEnd": "2098-06-01 12:00:00.1234567-0530",
        "overrides": [{"containerName": "c", "environment": {"N": 5, "T": true, "F": 1.5, "S": "s"}}],
    })))
    .unwrap()
    .document;
    assert_eq!(
        Value::Object(document),
        plus(json!({
            "taskCount": 5, "maxCount": 7, "suspended": true,
            "scheduleStart": "2098-06-01T02:03:00+00:00", "scheduleEnd": "2098-06-01T12:00:00.123456-05:30",
            "overrides": [{"containerName": "c", "environment": {"N": "5", "T": "true", "F": "1.5", "S": "s"}}],
        }))
    );
}

#[test]
fn numbers_within_fields_that_are_given_as_text_are_stored_as_numbers() {
    let rules =
        |code: Value| json!([{"reason": "x", "action": "fail"}, {"exitCode": code, "action": "retry"}]);
    let document = create(plus(json!({
        "catchUp": {"max": "3"}, "onError": {"assume": "0", "after": 2.0}, "history": {"keep": "5", "days": " 6 "},
        "retry": {"launch": {"maxAge": "1m"}, "task": {"attempts": "3", "rules": rules("7".into())}},
    })))
    .unwrap()
    .document;
    assert_eq!(
        Value::Object(document),
        plus(json!({
            "taskCount": 1, "catchUp": {"max": 3}, "onError": {"assume": 0, "after": 2}, "history": {"keep": 5, "days": 6},
            "retry": {"launch": {"maxAge": "1m"}, "task": {"attempts": 3, "rules": rules(7.into())}},
        }))
    );
}

#[test]
fn every_spelling_of_a_boolean_is_accepted() {
    for spelling in
        [json!(true), json!("true"), json!("True"), json!("TRUE"), json!("t"), json!("1"), json!(1)]
    {
        let prepared = create(plus(json!({"suspended": spelling}))).unwrap();
        assert_eq!(prepared.document["suspended"], true);
        assert!(prepared.job.suspension_of(now()).is_some());
    }
    for spelling in [json!(false), json!("false"), json!("F"), json!("0"), json!(0), json!(0.0)] {
        let prepared = create(plus(json!({"suspended": spelling}))).unwrap();
        assert_eq!(prepared.document["suspended"], false);
        assert!(prepared.job.suspension.is_none());
    }
}

#[test]
fn the_default_task_definition_is_the_jobs_name() {
    let prepared = create(json!({"id": "lonely", "schedule": "0"})).unwrap();
    assert_eq!(prepared.document["taskDefinition"], "lonely");
    assert_eq!(prepared.job.task.definition, "lonely");
}

#[test]
fn a_revision_or_an_arn_requires_an_id() {
    for definition in [
        "fam:3",
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/fam:3",
        "arn:aws:ecs:eu-west-1:123456789012:task-definition/fam",
    ] {
        let job = create(plus(json!({"id": "x", "taskDefinition": definition}))).unwrap().job;
        assert_eq!((job.id.as_str(), job.task.definition.as_str()), ("x", definition));
    }
}

#[test]
fn question_marks_are_resolved_permanently_by_the_jobs_name() {
    let prepared = create(plus(json!({"schedule": ["? ? 3", "0"]}))).unwrap();
    let schedule = prepared.document["schedule"].clone();
    assert!(!schedule.to_string().contains('?'), "{schedule}");
    assert_eq!(create(plus(json!({"schedule": ["? ? 3", "0"]}))).unwrap().document["schedule"], schedule);
    let single = create(plus(json!({"schedule": "? ? 3"}))).unwrap();
    assert_eq!(single.document["schedule"], schedule[0]);
}

#[test]
fn the_text_of_a_schedule_is_unchanged() {
    let text = "  0   0  12 * * 1 1 2099 ";
    assert_eq!(create(plus(json!({"schedule": text}))).unwrap().document["schedule"], text);
}

#[test]
fn read_only_fields_are_accepted_and_ignored() {
    let prepared = create(plus(json!({
        "lastRun": "x", "lastRunTasks": [], "estimatedNextRun": 5, "link": {}, "revision": 3,
        "parsedSchedule": {"hour": "1"}, "retrying": {}, "failing": {"ticks": 2}, "failingTasks": {"firings": 2}, "breakerState": {"state": "open"}, "state": "failing", "settledUntil": "2036-01-01T00:00:00Z",
    })));
    assert_eq!(prepared.unwrap().document.len(), 3);
}

#[test]
fn a_job_whose_trigger_provides_a_schedule_needs_none() {
    let job =
        create(json!({"taskDefinition": "a", "trigger": {"type": "gauge", "ticks": "0 0 2"}})).unwrap().job;
    assert!(job.schedule.is_none());
    assert_eq!(job.ticks().unwrap().next_after(now()), Some("2026-11-23T02:00:00Z".parse().unwrap()));
}

#[test]
fn the_noop_trigger_is_no_trigger() {
    assert!(create(plus(json!({"trigger": {"type": "noop"}}))).unwrap().job.trigger.is_none());
}

#[test]
fn launch_options_reach_the_launcher() {
    let registry = registry();
    let cx = JobContext { launcher: Some(&Picky), ..context(&registry, Strictness::Strict) };
    let prepared = prepare_create(plus(json!({"launch": {"cluster": "x"}})), &cx, now()).unwrap();
    assert_eq!(prepared.job.task.options["cluster"], "x");
}

#[test]
fn launcher_errors_have_pointers_into_the_document() {
    let registry = registry();
    let cx = JobContext { launcher: Some(&Picky), ..context(&registry, Strictness::Strict) };
    let errors = prepare_create(plus(json!({"launch": {"subnets": ["x"]}})), &cx, now()).unwrap_err();
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(error.pointer, "/launch/subnets/0");
    assert_eq!(messages(&errors), json!({"launch": {"subnets": {"0": ["Unknown option."]}}}));
}

#[test]
fn launcher_reviews_reject_written_jobs_but_not_stored_ones() {
    let registry = registry();
    let cx = JobContext { launcher: Some(&Picky), ..context(&registry, Strictness::Strict) };
    let late = plus(json!({"launch": {"cluster": "unreachable"}}));
    let pointers =
        |errors: Vec<FieldError>| errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>();
    let errors = prepare_create(late.clone(), &cx, now()).unwrap_err();
    assert_eq!(pointers(errors), ["/launch/cluster", "/launch/cluster"]);

    let mut stored = object(late);
    stored.remove("id");
    let described = prepare_patch(&id("alpha"), &stored, json!({"description": "other"}), &cx, now());
    let stored = described.unwrap().document;
    let changed = prepare_patch(&id("alpha"), &stored, json!({"launch": {"group": null}}), &cx, now());
    assert!(changed.is_ok(), "a launch that stays as it is was stored: {changed:?}");
    let changed = prepare_patch(&id("alpha"), &stored, json!({"overrides": []}), &cx, now());
    assert_eq!(pointers(changed.unwrap_err()), ["/launch/cluster", "/launch/cluster"]);
    let cx = JobContext { strictness: Strictness::Lenient, ..cx };
    assert!(Job::parse(&id("alpha"), &stored, &cx).is_ok());
}

#[test]
fn overrides_reach_the_task() {
    let job = create(plus(json!({"overrides": [{
        "containerName": "c", "environment": {"A": "1"}, "command": ["ls", "-l"], "cpu": 256,
        "environmentFiles": [{"type": "s3", "value": "arn:x"}],
    }]})))
    .unwrap()
    .job;
    let change = &job.task.overrides[0];
    assert_eq!(change.environment["A"], "1");
    assert_eq!(change.command.as_ref().unwrap(), &["ls", "-l"]);
    assert_eq!(change.resources["cpu"], 256);
    assert_eq!(change.resources["environmentFiles"][0]["type"], "s3");
    assert_eq!(change.resources.len(), 2);
}

#[test]
fn start_and_end_bound_the_ticks_of_a_trigger() {
    let job = create(json!({
        "taskDefinition": "a", "trigger": {"type": "gauge", "ticks": "0 0 2"},
        "scheduleStart": "2027-01-01T00:00:00Z", "scheduleEnd": "2027-01-03T00:00:00Z",
    }))
    .unwrap()
    .job;
    assert_eq!(job.ticks().unwrap().upcoming(now()).count(), 2);
}

#[test]
fn a_trigger_without_future_ticks_is_rejected() {
    let errors =
        create(json!({"taskDefinition": "a", "trigger": {"type": "gauge", "ticks": "0 0 0 * * 1 1 2020"}}));
    assert_eq!(errors.unwrap_err()[0].pointer, "/trigger");
}

#[test]
fn every_mode_is_accepted_with_a_queue_trigger() {
    use crate::policy::Mode;
    for (word, mode) in [("total", Mode::Total), ("oneShot", Mode::OneShot), ("drain", Mode::Drain)] {
        let body =
            plus(json!({"trigger": {"type": "sqs"}, "mode": word, "overlap": "topUp", "settle": "60s"}));
        assert_eq!(create(body).unwrap().job.policy.mode, mode);
    }
}

#[test]
fn a_rule_for_the_history_is_read_with_and_without_the_other_fields() {
    use crate::policy::HistoryRule;
    let of_text =
        |document: &Map<String, Value>| HistoryRule::of_document(&serde_json::to_string(document).unwrap());
    let prepared = create(plus(json!({"history": {"keep": "5", "days": 400}}))).unwrap();
    assert_eq!(prepared.document["history"], json!({"keep": 5, "days": 400}), "numbers become numbers");
    let rule = HistoryRule { keep: Some(5), days: Some(400) };
    assert_eq!((prepared.job.policy.history, of_text(&prepared.document)), (rule, Some(rule)));
    for fields in [json!({}), json!({"history": {}}), json!({"description": "the \"history\" stays"})] {
        let prepared = create(plus(fields)).unwrap();
        assert_eq!(
            (prepared.job.policy.history, of_text(&prepared.document)),
            (HistoryRule::default(), None)
        );
    }
    assert_eq!(HistoryRule::of_document(r#"{"history": "long"}"#), None, "another program wrote it");
}
