use proptest::prelude::*;

use super::*;

/// Any JSON, with names and texts that documents have, so that it comes far.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..60u32).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "0 0 2",
        "? ? ?",
        "cron(0 2 * * ? *)",
        "rate(5 minutes)",
        "alpha",
        "Europe/Berlin",
        "2098-06-01T12:00",
        "5m",
        "topUp",
        "hold",
        "all",
        "sqs",
        "noop",
        "gauge",
        "5",
        "t",
        "",
    ])
}

fn name() -> impl Strategy<Value = String> {
    let known = vec![
        "id",
        "taskDefinition",
        "schedule",
        "timezone",
        "taskCount",
        "maxCount",
        "trigger",
        "overrides",
        "suspended",
        "scheduleStart",
        "type",
        "containerName",
        "environment",
        "catchUp",
        "policy",
        "onError",
        "jitter",
        "labels",
        "suspension",
        "retry",
        "history",
        "keep",
        "launch",
        "a/b~c",
    ];
    prop::sample::select(known).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn no_document_makes_the_reader_panic(body in json_value(), existing in json_value()) {
        let errors = create(body.clone()).err().unwrap_or_default();
        prop_assert!(messages(&errors).is_object());
        if let Value::Object(existing) = existing {
            let existing = Value::Object(existing);
            let _ = load(existing.clone());
            let _ = update(&existing, body.clone());
            let _ = patch(&existing, body);
        }
    }

    #[test]
    fn an_accepted_document_is_its_own_canonical_form(
        count in prop_oneof![(1..=50u32).prop_map(Value::from), (1..=50u32).prop_map(|n| n.to_string().into())],
        schedule in prop::sample::select(vec!["0 0 2", "? ? ?", "rate(5 minutes)", "* * * mon-fri", "0 ?"]),
        start in prop::option::of(prop::sample::select(vec!["2026-6-1T2:3", "2026-06-01T12:00:00.5+0530"])),
        suspended in prop::option::of(prop::sample::select(vec![json!("t"), json!(0), json!(true)])),
        environment in prop::collection::btree_map("[A-Z]{1,3}", prop_oneof![any::<i32>().prop_map(Value::from), any::<bool>().prop_map(Value::from), "\\PC*".prop_map(Value::from)], 0..4),
        name in "[0-9A-Za-z_-]{1,20}",
    ) {
        let mut body = object(json!({"id": name, "schedule": schedule, "taskCount": count}));
        body.extend(start.map(|start| ("scheduleStart".to_owned(), start.into())));
        body.extend(suspended.map(|suspended| ("suspended".to_owned(), suspended)));
        body.insert("overrides".to_owned(), json!([{"containerName": "c", "environment": environment}]));
        let first = create(Value::Object(body)).unwrap();
        let canonical = first.document;
        // The stored document is reproduced by every kind of update.
        let mut again = canonical.clone();
        again.insert("id".to_owned(), name.as_str().into());
        prop_assert_eq!(&create(Value::Object(again.clone())).unwrap().document, &canonical);
        let registry = registry();
        let cx = context(&registry, Strictness::Strict);
        let put = prepare_update(&first.job.id, &canonical, Value::Object(again), &cx, now()).unwrap();
        prop_assert_eq!(&put.document, &canonical);
        let cx = context(&registry, Strictness::Lenient);
        let loaded = Job::parse(&first.job.id, &canonical, &cx).unwrap();
        prop_assert_eq!(loaded.task, first.job.task);
        prop_assert_eq!(loaded.policy, first.job.policy);
        prop_assert_eq!(loaded.scaling, first.job.scaling);
        prop_assert_eq!(loaded.schedule.unwrap().next_after(now()), first.job.schedule.unwrap().next_after(now()));
    }
}
