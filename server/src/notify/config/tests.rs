use serde_json::json;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn parse(value: &Value) -> Result<NotifyConfig, String> {
    NotifyConfig::parse(&value.to_string())
}

fn ops(channel: Value) -> Value {
    json!({"channels": {"ops": channel}})
}

#[test]
fn channels_rules_and_receivers_are_read() {
    let config = parse(&json!({
        "channels": {
            "ops": {"type": "webhook", "url": "https://hooks.example.com/x?y=1", "secret": SECRET,
                    "headers": {"Authorization": "Bearer t"}},
            "chat": {"type": "slack", "url": "https://hooks.slack.com/services/T/B/x"},
            "page": {"type": "command", "command": ["/usr/local/bin/page", "--now"]},
        },
        "allow": ["hooks.example.com", "10.0.0.0/8"],
        "default": [{"to": "ops", "on": ["failing:3", "recovered"]}],
    }));
    let config = config.unwrap();
    assert_eq!(config.channel_names(), ["chat", "ops", "page"]);
    assert_eq!(config.defaults.len(), 1);
    let shown = format!("{config:?}");
    for secret in ["MfKQ", "Bearer", "services/T", "y=1"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn mistakes_name_their_key_and_the_remedy() {
    let webhook = |url: &str, secret: &str| ops(json!({"type": "webhook", "url": url, "secret": secret}));
    let cases = [
        (json!({"channel": {}}), "notify"),
        (
            ops(json!({"url": "https://x"})),
            "notify.channels.ops.type is missing; it must be one of webhook, slack, command",
        ),
        (ops(json!({"type": "web-hook"})), "it must be one of webhook, slack, command"),
        (ops(json!({"type": "sns"})), "which this build does not support"),
        (ops(json!({"type": "slack"})), "notify.channels.ops: "),
        (
            ops(json!({"type": "slack", "url": "ftp://x"})),
            "notify.channels.ops.url: it must begin with https:// or http://",
        ),
        (
            webhook("https://u:p@x.example", SECRET),
            "notify.channels.ops.url: it must have no user and password",
        ),
        (webhook("https://x.example", "hunter2"), "notify.channels.ops.secret: it must be `whsec_`"),
        (ops(json!({"type": "command", "command": []})), "notify.channels.ops.command must name a program"),
        (json!({"channels": {"a b": {}}}), "a name has 1 to 64"),
        (json!({"allow": ["10.0.0.0/99"]}), "notify.allow: "),
        (
            json!({"channels": {"ops": {"type": "command", "command": ["x"]}}, "default": [{"to": "opz", "on": ["missed"]}]}),
            "notify.default.0.to: Must be one of the configured channels: ops. Did you mean \"ops\"?",
        ),
    ];
    for (value, expected) in cases {
        let error = parse(&value).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("u:p"), "{error}");
    }
}

#[test]
fn headers_of_the_signature_cannot_be_given() {
    for name in ["Webhook-Signature", "host", "bad name"] {
        let channel =
            json!({"type": "webhook", "url": "https://x.example", "secret": SECRET, "headers": {name: "x"}});
        assert!(parse(&ops(channel)).unwrap_err().contains(name), "{name}");
    }
}
