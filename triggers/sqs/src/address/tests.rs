use super::*;

fn address(change: impl FnOnce(&mut SqsConfig)) -> Result<QueueAddress, ConfigError> {
    let mut config = SqsConfig::default();
    change(&mut config);
    QueueAddress::from_config(&config)
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn region_is_read_from_aws_hosts() {
    let table = [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/orders", Some("eu-central-1")),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/orders", Some("us-gov-west-1")),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders", Some("cn-north-1")),
        ("https://sqs.us-west-2.api.aws/123456789012/orders", Some("us-west-2")),
        ("https://ap-south-1.queue.amazonaws.com/123456789012/orders", Some("ap-south-1")),
        ("https://queue.amazonaws.com/123456789012/orders", Some("us-east-1")),
        ("https://vpce-0a.sqs.us-east-2.vpce.amazonaws.com/123456789012/orders", Some("us-east-2")),
        ("http://localhost:4566/000000000000/orders", None),
        ("http://sqs.eu-central-1.localhost:4566/000000000000/orders", None),
        ("http://127.0.0.1:9324/queue/orders", None),
    ];
    for (url, region) in table {
        let queue = address(|config| config.queue_url = text(url)).unwrap();
        assert_eq!((queue.scope.region.as_deref(), queue.name.as_str()), (region, "orders"), "{url}");
        assert_eq!(queue.scope.account, None, "{url}: no other account's role is wanted");
        assert_eq!(queue.queue_ref, QueueRef::Url(url.to_owned()));
    }
}

#[test]
fn queue_name_uses_the_named_region_and_account() {
    let queue = address(|config| {
        config.queue_name = text("orders.fifo");
        config.region = text("us-east-1");
        config.account_id = text("210987654321");
    })
    .unwrap();
    assert_eq!(queue.scope, AwsScope { region: text("us-east-1"), account: text("210987654321") });
    assert_eq!(
        queue.queue_ref,
        QueueRef::Name(QueueName { name: "orders.fifo".into(), owner: text("210987654321") })
    );
}

#[test]
fn errors_point_to_the_field() {
    type Change = fn(&mut SqsConfig);
    let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders";
    let table: [(Change, &str, &str); 14] = [
        (|_| {}, "", "sqs trigger type requires queueName field"),
        (|c| c.queue_name = text(""), "/queueName", "1 to 80"),
        (|c| c.queue_name = text("a b"), "/queueName", "letters"),
        (|c| c.queue_name = text(".fifo"), "/queueName", "letters"),
        (|c| c.queue_name = Some("q".repeat(81)), "/queueName", "80"),
        (|c| c.queue_url = text("orders"), "/queueUrl", "https://sqs."),
        (|c| c.queue_url = text("https://sqs.eu-central-1.amazonaws.com/"), "/queueUrl", "https://sqs."),
        (|c| c.queue_url = text("https:///orders"), "/queueUrl", "https://sqs."),
        (|c| c.queue_url = text("ftp://host/1/orders"), "/queueUrl", "https://sqs."),
        (|c| c.region = text("Frankfurt"), "/region", "eu-central-1"),
        (|c| c.region = text("eu-central"), "/region", "eu-central-1"),
        (|c| c.account_id = text("12345"), "/accountId", "twelve"),
        (|c| c.region = text("us-east-1"), "/region", "contradicts"),
        (|c| c.account_id = text("210987654321"), "/accountId", "contradicts"),
    ];
    for (change, pointer, says) in table {
        let error = address(|config| {
            change(config);
            if says == "contradicts" {
                config.queue_url = text(url);
            }
        })
        .unwrap_err();
        assert_eq!(error.pointer, pointer, "{error}");
        assert!(error.message.contains(says), "{error}");
    }
    let both =
        address(|config| (config.queue_name, config.queue_url) = (text("orders"), text(url))).unwrap_err();
    assert_eq!(both.pointer, "/queueUrl");
}

#[test]
fn permissions_name_only_this_queue() {
    let lines = |queue: QueueAddress| -> Vec<String> {
        queue.permissions().iter().map(|line| format!("{} {}", line.action, line.resource)).collect()
    };
    let by_name = address(|config| config.queue_name = text("orders")).unwrap();
    assert_eq!(
        lines(by_name),
        ["sqs:GetQueueAttributes arn:aws:sqs:*:*:orders", "sqs:GetQueueUrl arn:aws:sqs:*:*:orders"]
    );
    let by_url =
        address(|c| c.queue_url = text("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders"))
            .unwrap();
    assert_eq!(lines(by_url), ["sqs:GetQueueAttributes arn:aws-cn:sqs:cn-north-1:123456789012:orders"]);
    let sovereign =
        address(|c| c.queue_url = text("https://sqs.eusc-de-east-1.amazonaws.eu/123456789012/orders"))
            .unwrap();
    assert_eq!(
        lines(sovereign),
        ["sqs:GetQueueAttributes arn:aws-eusc:sqs:eusc-de-east-1:123456789012:orders"]
    );
}
