use aws_sdk_ecs::types::{LogConfiguration, LogDriver};

use super::*;

fn destination(driver: &str, options: &[(&str, &str)]) -> LogDestination {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let log = LogConfiguration::builder().log_driver(LogDriver::from(driver)).set_options(Some(options));
    let log = log.build().unwrap();
    let container = ContainerDefinition::builder().name("main").log_configuration(log).build();
    ContainerLog::from_sdk(&container).destination
}

fn reason(destination: LogDestination) -> String {
    match destination {
        LogDestination::Elsewhere(reason) => reason,
        LogDestination::CloudWatch { .. } => panic!("{destination:?}"),
    }
}

#[test]
fn awslogs_with_group_and_prefix_is_readable() {
    let options =
        [("awslogs-group", "/work"), ("awslogs-stream-prefix", "ecs"), ("awslogs-region", "eu-west-1")];
    let expected = |region: Option<&str>| LogDestination::CloudWatch {
        group: "/work".to_owned(),
        prefix: "ecs".to_owned(),
        region: region.map(str::to_owned),
    };
    assert_eq!(destination("awslogs", &options), expected(Some("eu-west-1")));
    assert_eq!(destination("awslogs", &options[..2]), expected(None));
}

#[test]
fn other_configurations_say_where_to_look() {
    let without_prefix = reason(destination("awslogs", &[("awslogs-group", "/work")]));
    assert!(without_prefix.contains("awslogs-stream-prefix") && without_prefix.contains("\"/work\""));
    assert!(reason(destination("awslogs", &[])).contains("awslogs-group"));
    assert!(reason(destination("awsfirelens", &[])).contains("log router"));
    assert!(reason(destination("splunk", &[])).contains("log driver splunk"));
    let bare = ContainerDefinition::builder().name("main").build();
    assert!(reason(ContainerLog::from_sdk(&bare).destination).contains("no logConfiguration"));
}
