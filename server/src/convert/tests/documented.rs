//! Every documented field of both formats is mapped or listed, whatever its shape.
//!
//! # Source
//!
//! The pages that `keda.rs` and `eventbridge.rs` name, and
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/>.

use serde_json::{Value, json};

use super::{Converted, from_eventbridge, from_keda};

/// A JSON pointer to a field, and a value that is not its default.
type Field = (&'static str, Value);

/// Puts a value at a pointer; objects and lists on the way are made.
fn put(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for segment in pointer.split('/').skip(1) {
        place = match segment.parse::<usize>() {
            Ok(index) => {
                if !place.is_array() {
                    *place = json!([]);
                }
                let list = place.as_array_mut().unwrap();
                list.resize(list.len().max(index + 1), Value::Null);
                &mut list[index]
            }
            Err(_) => &mut place[segment.replace("~1", "/")],
        };
    }
    *place = value;
}

/// The path as remarks write it: `spec.triggers[0].type`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for segment in pointer.split('/').skip(1) {
        match segment.parse::<usize>() {
            Ok(index) => path.push_str(&format!("[{index}]")),
            Err(_) if path.is_empty() => path.push_str(segment),
            Err(_) => path.push_str(&format!(".{}", segment.replace("~1", "/"))),
        }
    }
    path
}

/// The fields for which 0 means the same as their absence.
const ZERO_BY_DEFAULT: [&str; 5] = [
    "minReplicaCount",
    "activationQueueLength",
    "activationTargetMetricValue",
    "minMetricValue",
    "metricEndTimeOffset",
];

/// Returns 0 in the form of a number or of a number in text.
fn zero(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(json!(0)),
        Value::String(text) => text.parse::<f64>().is_ok().then(|| json!("0")),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Tries each field with its value, each number with 0 as well, and each field with a value of a shape that no field has.
fn every_field_is_mapped_or_listed(
    base: &Value,
    fields: &[Field],
    convert: impl Fn(&Value) -> Converted,
    path: impl Fn(&str) -> String,
) {
    let plain = convert(base);
    assert!(plain.job.is_some(), "{plain:#?}");
    for (pointer, value) in fields {
        let zero = zero(value).filter(|_| !ZERO_BY_DEFAULT.iter().any(|name| pointer.ends_with(name)));
        for value in [value.clone(), json!([["odd"]])].into_iter().chain(zero) {
            let mut object = base.clone();
            put(&mut object, pointer, value.clone());
            let converted = convert(&object);
            let (path, mapped) = (path(pointer), converted.job != plain.job);
            let about = |field: &str| {
                let (field, path) = (field.to_lowercase(), path.to_lowercase());
                field.starts_with(&path) || path.starts_with(&field)
            };
            let new = converted.remarks.iter().filter(|remark| !plain.remarks.contains(remark));
            let listed = new.into_iter().any(|remark| about(&remark.field));
            assert!(mapped || listed, "{pointer} = {value} is dropped silently: {converted:#?}");
        }
    }
}

fn scaled_job(trigger: &Value) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "worker"},
        "spec": {
            "jobTargetRef": {"template": {"spec": {"containers": [{"name": "main", "image": "worker:1"}]}}},
            "triggers": [trigger],
        },
    })
}

fn keda(base: &Value, fields: &[Field]) {
    let convert = |object: &Value| from_keda(&object.to_string()).remove(0);
    every_field_is_mapped_or_listed(base, fields, convert, dotted);
}

fn cron() -> Value {
    json!({"type": "cron", "metadata":
        {"timezone": "UTC", "start": "0 8 * * *", "end": "0 18 * * *", "desiredReplicas": "2"}})
}

#[test]
fn every_field_of_a_scaled_job_is_mapped_or_listed() {
    let fields = [
        ("/metadata/name", json!("other")),
        ("/metadata/namespace", json!("prod")),
        ("/metadata/labels", json!({"team": "media"})),
        ("/metadata/annotations/autoscaling.keda.sh~1paused", json!("true")),
        ("/metadata/annotations/autoscaling.keda.sh~1paused-replicas", json!("1")),
        ("/metadata/annotations/note", json!("text")),
        ("/spec/pollingInterval", json!(10)),
        ("/spec/successfulJobsHistoryLimit", json!(5)),
        ("/spec/failedJobsHistoryLimit", json!(5)),
        ("/spec/minReplicaCount", json!(1)),
        ("/spec/maxReplicaCount", json!(7)),
        ("/spec/maxReplicaCount", json!(0)),
        ("/spec/rolloutStrategy", json!("default")),
        ("/spec/rollout/strategy", json!("default")),
        ("/spec/rollout/propagationPolicy", json!("foreground")),
        ("/spec/scalingStrategy/strategy", json!("accurate")),
        ("/spec/scalingStrategy/strategy", json!("eager")),
        ("/spec/scalingStrategy/strategy", json!("custom")),
        ("/spec/scalingStrategy/customScalingQueueLengthDeduction", json!(1)),
        ("/spec/scalingStrategy/customScalingRunningJobPercentage", json!("0.5")),
        ("/spec/scalingStrategy/pendingPodConditions", json!(["Ready"])),
        ("/spec/triggers/0/type", json!("rabbitmq")),
        ("/spec/triggers/0/metricType", json!("Value")),
        ("/spec/triggers/0/useCachedMetrics", json!(true)),
        ("/spec/triggers/0/authenticationRef", json!({"name": "aws"})),
        ("/spec/triggers/0/metadata/timezone", json!("Asia/Tokyo")),
        ("/spec/triggers/0/metadata/start", json!("0 9 * * *")),
        ("/spec/triggers/0/metadata/end", json!("0 19 * * *")),
        ("/spec/triggers/0/metadata/desiredReplicas", json!("3")),
        ("/spec/triggers/0/metadata/desiredReplicas", json!("0")),
    ];
    keda(&scaled_job(&cron()), &fields);
}

#[test]
fn every_field_of_a_job_and_its_pod_is_mapped_or_listed() {
    let of_the_job = [
        ("parallelism", json!(2)),
        ("completions", json!(2)),
        ("activeDeadlineSeconds", json!(60)),
        ("backoffLimit", json!(3)),
        ("backoffLimitPerIndex", json!(1)),
        ("maxFailedIndexes", json!(1)),
        ("podFailurePolicy", json!({"rules": [{"action": "FailJob"}]})),
        ("successPolicy", json!({"rules": [{"succeededCount": 1}]})),
        ("selector", json!({"matchLabels": {"a": "b"}})),
        ("manualSelector", json!(true)),
        ("ttlSecondsAfterFinished", json!(60)),
        ("completionMode", json!("Indexed")),
        ("suspend", json!(true)),
        ("podReplacementPolicy", json!("Failed")),
        ("managedBy", json!("other")),
        ("template/metadata", json!({"labels": {"a": "b"}})),
        ("template/spec/activeDeadlineSeconds", json!(60)),
        ("template/spec/restartPolicy", json!("OnFailure")),
        ("template/spec/serviceAccountName", json!("worker")),
        ("template/spec/nodeSelector", json!({"disk": "ssd"})),
        ("template/spec/tolerations", json!([{"operator": "Exists"}])),
        ("template/spec/affinity", json!({"nodeAffinity": {"x": 1}})),
        ("template/spec/volumes", json!([{"name": "v", "emptyDir": {}}])),
        ("template/spec/initContainers", json!([{"name": "i", "image": "i:1"}])),
        ("template/spec/imagePullSecrets", json!([{"name": "s"}])),
        ("template/spec/terminationGracePeriodSeconds", json!(30)),
        ("template/spec/securityContext", json!({"runAsUser": 1})),
        ("template/spec/hostNetwork", json!(true)),
    ];
    let of_the_container = [
        ("name", json!("other")),
        ("image", json!("other:1")),
        ("command", json!(["/bin/sh"])),
        ("args", json!(["--once"])),
        ("env", json!([{"name": "A", "value": "b"}])),
        ("env", json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])),
        ("envFrom", json!([{"configMapRef": {"name": "c"}}])),
        ("resources/requests/cpu", json!("250m")),
        ("resources/requests/memory", json!("64Mi")),
        ("resources/requests/ephemeral-storage", json!("1Gi")),
        ("resources/limits/cpu", json!("1")),
        ("resources/limits/memory", json!("64Mi")),
        ("resources/claims", json!([{"name": "gpu"}])),
        ("volumeMounts", json!([{"name": "v", "mountPath": "/v"}])),
        ("ports", json!([{"containerPort": 80}])),
        ("workingDir", json!("/srv")),
        ("imagePullPolicy", json!("Always")),
        ("livenessProbe", json!({"exec": {"command": ["true"]}})),
        ("readinessProbe", json!({"exec": {"command": ["true"]}})),
        ("lifecycle", json!({"preStop": {"exec": {"command": ["true"]}}})),
        ("securityContext", json!({"runAsUser": 1})),
    ];
    let place = |prefix: &str, fields: &[(&'static str, Value)]| -> Vec<Field> {
        let pointer = |name: &str| -> &'static str { format!("{prefix}/{name}").leak() };
        fields.iter().map(|(name, value)| (pointer(name), value.clone())).collect()
    };
    let base = scaled_job(&cron());
    keda(&base, &place("/spec/jobTargetRef", &of_the_job));
    keda(&base, &place("/spec/jobTargetRef/template/spec/containers/0", &of_the_container));
}

#[cfg(feature = "aws")]
#[test]
fn every_field_of_the_triggers_of_aws_is_mapped_or_listed() {
    let access = [
        ("/spec/triggers/0/metadata/awsRegion", json!("us-east-1")),
        ("/spec/triggers/0/metadata/awsEndpoint", json!("http://localstack:4566")),
        ("/spec/triggers/0/metadata/identityOwner", json!("operator")),
        ("/spec/triggers/0/metadata/awsAccessKeyIDFromEnv", json!("KEY")),
        ("/spec/triggers/0/metadata/awsSecretAccessKeyFromEnv", json!("SECRET")),
        ("/spec/triggers/0/metadata/awsSessionTokenFromEnv", json!("TOKEN")),
    ];
    let queue = [
        ("/spec/triggers/0/metadata/queueURL", json!("other")),
        ("/spec/triggers/0/metadata/queueURLFromEnv", json!("QUEUE")),
        ("/spec/triggers/0/metadata/queueLength", json!("9")),
        ("/spec/triggers/0/metadata/queueLength", json!("1.5")),
        ("/spec/triggers/0/metadata/activationQueueLength", json!("2")),
        ("/spec/triggers/0/metadata/scaleOnInFlight", json!("false")),
        ("/spec/triggers/0/metadata/scaleOnDelayed", json!("true")),
    ];
    let metric = [
        ("/spec/triggers/0/metadata/namespace", json!("Other")),
        ("/spec/triggers/0/metadata/metricName", json!("Other")),
        ("/spec/triggers/0/metadata/dimensionName", json!("Other")),
        ("/spec/triggers/0/metadata/dimensionValue", json!("other")),
        ("/spec/triggers/0/metadata/expression", json!("SELECT MAX(Backlog) FROM Media")),
        ("/spec/triggers/0/metadata/targetMetricValue", json!("3")),
        ("/spec/triggers/0/metadata/targetMetricValue", json!("0")),
        ("/spec/triggers/0/metadata/activationTargetMetricValue", json!("1")),
        ("/spec/triggers/0/metadata/minMetricValue", json!("5")),
        ("/spec/triggers/0/metadata/ignoreNullValues", json!("false")),
        ("/spec/triggers/0/metadata/metricCollectionTime", json!("600")),
        ("/spec/triggers/0/metadata/metricStat", json!("Sum")),
        ("/spec/triggers/0/metadata/metricStatPeriod", json!("60")),
        ("/spec/triggers/0/metadata/metricUnit", json!("Count")),
        ("/spec/triggers/0/metadata/metricEndTimeOffset", json!("60")),
    ];
    let sqs = json!({"type": "aws-sqs-queue", "metadata": {"queueURL": "orders", "awsRegion": "eu-west-1"}});
    let cloudwatch = json!({"type": "aws-cloudwatch", "metadata": {
        "namespace": "Media", "metricName": "Backlog", "dimensionName": "Stage", "dimensionValue": "prod",
        "targetMetricValue": "2", "awsRegion": "eu-west-1"}});
    for (trigger, fields) in [(&sqs, &queue[..]), (&cloudwatch, &metric[..])] {
        let base = scaled_job(trigger);
        keda(&base, fields);
        keda(&base, &access);
    }
    let mut several = scaled_job(&sqs);
    put(&mut several, "/spec/triggers/1", cloudwatch);
    keda(&several, &[("/spec/scalingStrategy/multipleScalersCalculation", json!("sum"))]);
    let mut from_env =
        scaled_job(&json!({"type": "aws-sqs-queue", "metadata": {"queueURLFromEnv": "QUEUE"}}));
    let containers = json!([
        {"name": "main", "env": [{"name": "QUEUE", "value": "first"}]},
        {"name": "other", "env": [{"name": "QUEUE", "value": "second"}]},
    ]);
    put(&mut from_env, "/spec/jobTargetRef/template/spec/containers", containers);
    keda(&from_env, &[("/spec/envSourceContainerName", json!("other"))]);
}

#[test]
fn a_job_that_runs_no_pod_becomes_a_suspended_one() {
    for name in ["parallelism", "completions"] {
        let mut object = scaled_job(&cron());
        put(&mut object, &format!("/spec/jobTargetRef/{name}"), json!(0));
        let converted = from_keda(&object.to_string()).remove(0);
        assert_eq!(converted.job.as_ref().unwrap()["suspended"], true, "{name}: {converted:#?}");
        let field = format!("spec.jobTargetRef.{name}");
        assert!(converted.remarks.iter().any(|remark| remark.field == field), "{name}: {converted:#?}");
    }
}

#[cfg(feature = "aws")]
#[test]
fn an_expression_that_makes_several_series_has_a_remark() {
    let group = "SELECT MAX(Backlog) FROM Media GROUP BY Stage";
    for (expression, is_listed) in [
        (group, true),
        ("search('{Media,Stage} MetricName=\"Backlog\"', 'Sum', 60)", true),
        (&format!("{group} ORDER BY MAX() DESC LIMIT 1"), false),
        ("SUM(SEARCH('{Media,Stage} MetricName=\"Backlog\"', 'Sum', 60))", false),
        ("SELECT MAX(Backlog) FROM Media", false),
    ] {
        let object = scaled_job(&json!({"type": "aws-cloudwatch", "metadata": {
            "expression": expression, "targetMetricValue": "2", "awsRegion": "eu-west-1"}}));
        let converted = from_keda(&object.to_string()).remove(0);
        let mut remarks = converted.remarks.iter();
        let listed = remarks.any(|remark| remark.field == "spec.triggers[0].metadata.expression");
        assert_eq!(listed, is_listed, "{expression}: {converted:#?}");
    }
}

fn ecs_parameters() -> Vec<(&'static str, Value)> {
    vec![
        ("TaskDefinitionArn", json!("arn:aws:ecs:eu-west-1:123456789012:task-definition/other:2")),
        ("TaskCount", json!(3)),
        ("LaunchType", json!("EXTERNAL")),
        ("NetworkConfiguration", json!({"awsvpcConfiguration": {"Subnets": ["subnet-11111111"]}})),
        ("PlatformVersion", json!("1.4.0")),
        ("Group", json!("night")),
        ("CapacityProviderStrategy", json!([{"capacityProvider": "FARGATE", "weight": 1}])),
        ("EnableECSManagedTags", json!(true)),
        ("EnableExecuteCommand", json!(true)),
        ("PlacementConstraints", json!([{"type": "distinctInstance"}])),
        ("PlacementStrategy", json!([{"type": "random"}])),
        ("PropagateTags", json!("TASK_DEFINITION")),
        ("ReferenceId", json!("id")),
        ("Tags", json!([{"team": "media"}])),
        ("Tags", json!([{"Key": "team", "Value": "media"}])),
    ]
}

/// The fields of a target, with the pointers of its parameters.
fn target(prefix: &str) -> Vec<Field> {
    let mut fields = vec![
        ("Arn".to_owned(), json!("arn:aws:ecs:eu-west-1:123456789012:cluster/other")),
        ("RoleArn".to_owned(), json!("arn:aws:iam::123456789012:role/r")),
        ("DeadLetterConfig".to_owned(), json!({"Arn": "arn:aws:sqs:eu-west-1:123456789012:failed"})),
        ("RetryPolicy/MaximumEventAgeInSeconds".to_owned(), json!(60)),
        ("RetryPolicy/MaximumRetryAttempts".to_owned(), json!(0)),
        ("RetryPolicy/MaximumRetryAttempts".to_owned(), json!(185)),
        ("Input".to_owned(), json!(r#"{"cpu": "512"}"#)),
        ("Input".to_owned(), json!("<aws.scheduler.scheduled-time>")),
        ("InputPath".to_owned(), json!("$.detail")),
        ("InputTransformer".to_owned(), json!({"InputTemplate": "{}"})),
    ];
    let others = [
        "EventBridge",
        "Kinesis",
        "SageMakerPipeline",
        "Sqs",
        "RunCommand",
        "Batch",
        "Http",
        "RedshiftData",
        "AppSync",
    ];
    fields.extend(others.map(|kind| (format!("{kind}Parameters"), json!({"Name": "x"}))));
    fields.extend(ecs_parameters().into_iter().map(|(name, value)| (format!("EcsParameters/{name}"), value)));
    fields.into_iter().map(|(name, value)| (&*format!("{prefix}/{name}").leak(), value)).collect()
}

fn eventbridge(base: &Value, fields: &[Field]) {
    let convert = |object: &Value| from_eventbridge(&[("file", &object.to_string())]).remove(0);
    every_field_is_mapped_or_listed(base, fields, convert, |pointer| {
        dotted(&pointer.replace("/Targets/0", "/Target"))
    });
}

fn ecs_target() -> Value {
    json!({
        "Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/main",
        "EcsParameters": {"TaskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/report:1"},
    })
}

fn schedule(target: &Value) -> Value {
    json!({
        "Name": "nightly", "ScheduleExpression": "cron(0 9 * * ? *)", "State": "ENABLED",
        "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target,
    })
}

#[test]
fn every_field_of_a_schedule_is_mapped_or_listed() {
    let mut fields = target("/Target");
    fields.extend([
        ("/Name", json!("other")),
        ("/Description", json!("text")),
        ("/GroupName", json!("reports")),
        ("/ScheduleExpression", json!("cron(0 10 * * ? *)")),
        ("/ScheduleExpressionTimezone", json!("Asia/Tokyo")),
        ("/StartDate", json!("2027-01-01T00:00:00Z")),
        ("/EndDate", json!("2028-01-01T00:00:00Z")),
        ("/State", json!("DISABLED")),
        ("/State", json!("SLEEPING")),
        ("/FlexibleTimeWindow", json!({"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5})),
        ("/ActionAfterCompletion", json!("DELETE")),
        ("/KmsKeyArn", json!("arn:aws:kms:eu-west-1:123456789012:key/k")),
    ]);
    eventbridge(&schedule(&ecs_target()), &fields);
}

#[test]
fn every_field_of_a_rule_and_its_target_is_mapped_or_listed() {
    let mut fields = target("/Targets/0");
    fields.extend([
        ("/Name", json!("other")),
        ("/Description", json!("text")),
        ("/EventPattern", json!("{}")),
        ("/State", json!("DISABLED")),
        ("/ManagedBy", json!("service.amazonaws.com")),
        ("/ScheduleExpression", json!("rate(1 day)")),
    ]);
    let rule = json!({
        "Name": "nightly", "Arn": "arn:aws:events:eu-west-1:123456789012:rule/nightly", "State": "ENABLED",
        "ScheduleExpression": "cron(0 9 * * ? *)", "Targets": [ecs_target()],
    });
    eventbridge(&rule, &fields);
}

/// Puts fields into a target's `Input`, which is JSON as text.
fn input(target: &Value, base: &Value, fields: &[Field]) {
    let convert = |request: &Value| {
        let mut target = target.clone();
        target["Input"] = request.to_string().into();
        from_eventbridge(&[("file", &schedule(&target).to_string())]).remove(0)
    };
    // Remarks name the place in the request in ECS's own case.
    every_field_is_mapped_or_listed(base, fields, convert, |pointer| {
        let universal = target["EcsParameters"].is_null();
        let prefix = if universal { "Target.Input." } else { "Target.EcsParameters.overrides." };
        format!("{prefix}{}", dotted(pointer))
    });
}

#[test]
fn every_field_of_an_override_is_mapped_or_listed() {
    let fields = [
        ("/containerOverrides/0/name", json!("other")),
        ("/containerOverrides/0/command", json!(["report"])),
        ("/containerOverrides/0/environment", json!([{"name": "A", "value": "b"}])),
        ("/containerOverrides/0/environmentFiles", json!([{"type": "s3", "value": "arn:aws:s3:::b/e.env"}])),
        ("/containerOverrides/0/cpu", json!(256)),
        ("/containerOverrides/0/memory", json!(512)),
        ("/containerOverrides/0/memoryReservation", json!(512)),
        ("/containerOverrides/0/resourceRequirements", json!([{"type": "GPU", "value": "1"}])),
        ("/cpu", json!("512")),
        ("/memory", json!("1024")),
        ("/executionRoleArn", json!("arn:aws:iam::123456789012:role/r")),
        ("/taskRoleArn", json!("arn:aws:iam::123456789012:role/r")),
        ("/ephemeralStorage/sizeInGiB", json!(30)),
        ("/inferenceAcceleratorOverrides", json!([{"deviceName": "d"}])),
    ];
    let base = json!({"containerOverrides": [{"name": "main", "cpu": 128}]});
    input(&ecs_target(), &base, &fields);
}

#[test]
fn every_field_of_run_task_is_mapped_or_listed() {
    let volume = json!([{"name": "scratch", "managedEBSVolume": {
        "roleArn": "arn:aws:iam::123456789012:role/r", "sizeInGiB": 20, "terminationPolicy": {"deleteOnTermination": true}}}]);
    let fields = [
        ("/Cluster", json!("other")),
        ("/TaskDefinition", json!("other:2")),
        ("/Count", json!(3)),
        ("/CapacityProviderStrategy", json!([{"CapacityProvider": "FARGATE", "Weight": 1}])),
        ("/LaunchType", json!("EXTERNAL")),
        ("/NetworkConfiguration", json!({"AwsvpcConfiguration": {"Subnets": ["subnet-11111111"]}})),
        ("/PlatformVersion", json!("1.4.0")),
        ("/Group", json!("night")),
        ("/EnableECSManagedTags", json!(true)),
        ("/EnableExecuteCommand", json!(true)),
        ("/PlacementConstraints", json!([{"Type": "distinctInstance"}])),
        ("/PlacementStrategy", json!([{"Type": "random"}])),
        ("/PropagateTags", json!("TASK_DEFINITION")),
        ("/Overrides", json!({"Cpu": "512"})),
        ("/Tags", json!([{"Key": "team", "Value": "media"}])),
        ("/VolumeConfigurations", volume),
        ("/ReferenceId", json!("id")),
        ("/StartedBy", json!("scheduler")),
        ("/ClientToken", json!("<aws.scheduler.execution-id>")),
    ];
    let target = json!({"Arn": "arn:aws:scheduler:::aws-sdk:ecs:runTask"});
    input(&target, &json!({"Cluster": "main", "TaskDefinition": "report:1"}), &fields);
}
