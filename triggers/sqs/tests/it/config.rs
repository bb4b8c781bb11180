use ecs_scheduler_backend_aws::Timeouts;
use ecs_scheduler_core::{BuildContext, ConfigError, Scaling};
use ecs_scheduler_core::{TriggerFactory as _, TriggerRegistry};
use ecs_scheduler_trigger_sqs::Sqs;
use serde_json::{Value, json};

use crate::help::aws;

fn sqs() -> Sqs {
    Sqs::new(aws("http://127.0.0.1:9".to_owned(), Timeouts::default()))
}

fn build(spec: &Value) -> Result<(), ConfigError> {
    let mut registry = TriggerRegistry::new();
    registry.add(sqs()).unwrap();
    registry.build(spec, &BuildContext::new(&registry, "UTC", Scaling::default())).map(drop)
}

#[test]
fn python_documents_are_accepted() {
    for fields in [
        json!({"type": "sqs", "queueName": "golden-queue", "messagesPerTask": 100}),
        json!({"type": "sqs", "queueName": "q"}),
        json!({"type": "sqs", "queueName": "q", "messagesPerTask": "3"}),
        json!({"type": "sqs", "queueName": "q", "messagesPerTask": 3.0}),
    ] {
        build(&fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
    }
}

#[test]
fn python_refusals_keep_their_messages() {
    let table = [
        (json!({"type": "sqs"}), "", "sqs trigger type requires queueName field"),
        (json!({"type": "sqs", "queueName": null}), "/queueName", "Field may not be null."),
        (json!({"type": "sqs", "queueName": 5}), "/queueName", "Not a valid string."),
        (
            json!({"type": "sqs", "queueName": "q", "messagesPerTask": 0}),
            "/messagesPerTask",
            "Must be at least 1.",
        ),
        (
            json!({"type": "sqs", "queueName": "q", "messagesPerTask": "-3"}),
            "/messagesPerTask",
            "Must be at least 1.",
        ),
        (
            json!({"type": "sqs", "queueName": "q", "messagesPerTask": "x"}),
            "/messagesPerTask",
            "Not a valid integer.",
        ),
        (
            json!({"type": "sqs", "queueName": "q", "messagesPerTask": 1.5}),
            "/messagesPerTask",
            "Not a valid integer.",
        ),
        (
            json!({"type": "sqs", "queueName": "q", "messagesPerTask": true}),
            "/messagesPerTask",
            "Not a valid integer.",
        ),
        (
            json!({"type": "sqs", "queueName": "q", "messagesPerTask": null}),
            "/messagesPerTask",
            "Field may not be null.",
        ),
        (
            json!({"type": "sqs", "queueName": "q", "messagesPerTask": 4_294_967_296_u64}),
            "/messagesPerTask",
            "Must be between 1 and 4294967295.",
        ),
    ];
    for (fields, pointer, message) in table {
        let error = build(&fields).unwrap_err();
        assert_eq!((error.pointer.as_str(), error.message.as_str()), (pointer, message), "{fields}");
    }
}

#[test]
fn schema_bounds_match_the_trigger() {
    let schema = sqs().schema();
    assert_eq!(schema["oneOf"], json!([{"required": ["queueName"]}, {"required": ["queueUrl"]}]));
    let fields = &schema["properties"];
    assert_eq!(
        (&fields["queueName"]["maxLength"], &fields["queueUrl"]["maxLength"]),
        (&json!(80), &json!(1024))
    );
    assert_eq!(
        (&fields["messagesPerTask"]["minimum"], &fields["activation"]["minimum"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(fields["queueName"]["type"], "string");
    assert_eq!(schema["additionalProperties"], false);
}
