use serde_json::json;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Reads a configuration; its problems are lines.
fn parse(value: &Value) -> Result<NotifyConfig, String> {
    NotifyConfig::parse(&value.to_string()).map_err(|problems| problems.join("\n"))
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
            "notify.channels.ops.type is missing; it must be one of webhook, slack, sns, command",
        ),
        (ops(json!({"type": "web-hook"})), "it must be one of webhook, slack, sns, command"),
        (ops(json!({"type": "slack"})), "notify.channels.ops.url: it is missing"),
        (ops(json!({"type": "slack", "url": 7})), "notify.channels.ops.url: it must be a text"),
        (
            ops(json!({"type": {"env": "X"}})),
            "notify.channels.ops.type must be one of webhook, slack, sns, command, written in the file itself",
        ),
        (ops(json!("slack")), "notify.channels.ops must contain the keys of a channel, such as type"),
        (
            json!({"channels": 3, "alow": []}),
            "notify has the unknown key \"alow\"; known are channels, allow, default",
        ),
        (json!({"allow": "hooks.example.com"}), "notify.allow: it must be a list of texts"),
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

#[cfg(feature = "aws")]
#[test]
fn topic_is_read_and_its_permission_is_known() {
    let arn = "arn:aws:sns:eu-west-1:123456789012:ops";
    let config = parse(&ops(json!({"type": "sns", "topicArn": arn}))).unwrap();
    assert_eq!(config.permissions().collect::<Vec<_>>(), [Permission::new("sns:Publish", arn)]);
    let error = parse(&ops(json!({"type": "sns", "topicArn": "ops"}))).unwrap_err();
    assert!(error.starts_with("notify.channels.ops.topicArn: it must be the ARN of a topic"), "{error}");
    let error = parse(&ops(json!({"type": "sns"}))).unwrap_err();
    assert!(error.contains("topicArn"), "{error}");
}

#[cfg(not(feature = "aws"))]
#[test]
fn topic_needs_another_build() {
    let error = parse(&ops(json!({"type": "sns", "topicArn": "x"}))).unwrap_err();
    assert!(error.contains("which this build does not support"), "{error}");
}

#[test]
fn all_problems_are_reported_at_once() {
    let config = json!({
        "channels": {
            "a": {"type": "slack", "url": "ftp://x"},
            "b": {"type": "webhook", "url": "https://x.example", "secret": "hunter2"},
            "c": {"type": "command", "command": ["x"]},
        },
        "allow": ["10.0.0.0/99"],
        "default": [{"to": "a", "on": ["missed"]}, {"to": "d", "on": ["missed"]}],
    });
    let problems = NotifyConfig::parse(&config.to_string()).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(
        keys,
        ["notify.channels.a.url", "notify.channels.b.secret", "notify.allow", "notify.default.1.to"],
        "a rule may name a channel that has a problem"
    );
}

#[test]
fn each_problem_of_one_channel_is_reported() {
    let config = json!({
        "channels": {"a b": {"type": "webhook", "url": "ftp://x", "secrets": "x", "headers": {"host": "x", "x-y": 5, "é": "x"}}},
        "allow": ["10.0.0.0/99", "hooks.example.com", "/8"],
    });
    let problems = NotifyConfig::parse(&config.to_string()).unwrap_err();
    let expected = [
        "a channel \"a b\"; a name has 1 to 64",
        "a b.url: it must begin with",
        "a b.secret: it is missing",
        "a b.headers: the scheduler sets \"host\" itself",
        "a b.headers: the value of \"x-y\" must be a text",
        "a b.headers: \"é\" is no name of a header",
        "a b has the unknown key \"secrets\"; known are type, url, secret, headers",
        "notify.allow: \"10.0.0.0/99\"",
        "notify.allow: \"/8\"",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for part in expected {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:#?}");
    }
}

#[test]
fn variable_in_the_place_of_no_text_is_refused() {
    let environment = BTreeMap::from([("X".to_owned(), "slack".to_owned())]);
    let refused = |channel: Value| insert_variables(&ops(channel).to_string(), &environment).unwrap_err();
    let of_headers = refused(json!({"type": "webhook", "headers": {"env": "X"}}));
    assert!(
        of_headers[0].contains("give each header its own, such as authorization: {env: X}"),
        "{of_headers:?}"
    );
    for (field, channel) in
        [("type", json!({"type": {"env": "X"}})), ("command", json!({"command": {"env": "X"}}))]
    {
        let expected = format!(
            "notify.channels.ops.{field}: a variable may stand for url, secret, topicArn and the values of headers, not for this"
        );
        assert_eq!(refused(channel), [expected]);
    }
}

#[test]
fn texts_come_from_the_environment() {
    let environment = [("OPS_SECRET", SECRET), ("TOKEN", "Bearer t"), ("EMPTY", "")];
    let environment =
        environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let insert = |channel: Value| insert_variables(&ops(channel).to_string(), &environment);
    let given = json!({"type": "webhook", "url": "https://x.example", "secret": {"env": "OPS_SECRET"},
        "headers": {"authorization": {"env": "TOKEN"}, "env": "staging"}});
    let inserted = insert(given).unwrap();
    let expected = json!({"type": "webhook", "url": "https://x.example", "secret": SECRET,
        "headers": {"authorization": "Bearer t", "env": "staging"}});
    assert_eq!(serde_json::from_str::<Value>(&inserted).unwrap(), ops(expected));
    NotifyConfig::parse(&inserted).unwrap();
    let missing = json!({"type": "webhook", "url": {"env": "URL"}, "secret": {"env": "EMPTY"},
        "headers": {"authorization": {"env": "NONE"}}});
    let unset = |key: &str, name: &str| {
        format!("notify.channels.ops.{key}: the environment variable {name} is not set")
    };
    assert_eq!(
        insert(missing).unwrap_err(),
        [unset("headers.authorization", "NONE"), unset("secret", "EMPTY"), unset("url", "URL")]
    );
    let other = json!({"type": "slack", "url": {"env": "TOKEN", "more": 1}});
    assert!(
        parse(&serde_json::from_str(&insert(other).unwrap()).unwrap()).is_err(),
        "no other form is replaced"
    );
}

#[test]
fn headers_of_the_signature_cannot_be_given() {
    for name in ["Webhook-Signature", "host", "bad name"] {
        let channel =
            json!({"type": "webhook", "url": "https://x.example", "secret": SECRET, "headers": {name: "x"}});
        assert!(parse(&ops(channel)).unwrap_err().contains(name), "{name}");
    }
}
