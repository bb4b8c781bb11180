use serde_json::json;

use super::*;

fn read(value: &Value) -> Result<LocalDefinition, DefinitionProblem> {
    parse(Path::new("work.json"), &value.to_string())
}

fn with_containers(containers: &Value) -> Value {
    json!({"family": "work", "containerDefinitions": containers})
}

#[test]
fn defaults_are_those_of_ecs() {
    let definition = read(&with_containers(&json!([{"name": "main", "command": ["true"]}]))).unwrap();
    let main = &definition.containers[0];
    assert_eq!(definition.name(), "work:1");
    assert!(main.essential);
    assert_eq!(main.stop_timeout_secs, 30);
    assert_eq!(definition.ignored, Vec::<String>::new());
}

#[test]
fn output_of_describe_task_definition_is_parsed() {
    let definition = read(&json!({
        "taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/work:7",
            "family": "work",
            "revision": 7,
            "status": "ACTIVE",
            "volumes": [],
            "cpu": "256",
            "containerDefinitions": [
                {"name": "main", "image": "busybox", "command": ["true"], "cpu": 0, "portMappings": [{"containerPort": 80}],
                 "mountPoints": [], "healthCheck": null},
            ],
        },
        "tags": [],
    }))
    .unwrap();
    assert_eq!(definition.name(), "work:7");
    assert_eq!(
        definition.ignored,
        [
            "taskDefinition.cpu",
            "taskDefinition.containerDefinitions[0].cpu",
            "taskDefinition.containerDefinitions[0].portMappings"
        ]
    );
}

#[test]
fn problem_names_file_and_field() {
    let container = |fields: Value| {
        let mut container = json!({"name": "main", "command": ["true"]});
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        with_containers(&json!([container]))
    };
    let side = |depends: Value| {
        with_containers(&json!([
            {"name": "main", "command": ["true"], "dependsOn": depends},
            {"name": "side", "command": ["true"], "dependsOn": [{"containerName": "main", "condition": "START"}]},
        ]))
    };
    let cases = [
        (json!({"containerDefinitions": []}), "work.json: missing field `family`"),
        (with_containers(&json!([])), "work.json: containerDefinitions: must contain at least one container"),
        (
            container(json!({"command": "true"})),
            "work.json: containerDefinitions[0].command: invalid type: string",
        ),
        (container(json!({"name": "../x"})), "work.json: containerDefinitions[0].name: \"../x\" must be"),
        (
            container(json!({"essential": false})),
            "work.json: containerDefinitions: at least one container must be",
        ),
        (
            container(json!({"environment": [{"name": "a.b", "value": ""}]})),
            "work.json: containerDefinitions[0].environment[0]: \"a.b\" is not a valid variable name",
        ),
        (
            container(json!({"dependsOn": [{"containerName": "x", "condition": "START"}]})),
            "work.json: containerDefinitions[0].dependsOn[0]: no container is named \"x\"",
        ),
        (
            container(json!({"dependsOn": [{"containerName": "main", "condition": "HEALTHY"}]})),
            "work.json: containerDefinitions[0].dependsOn[0].condition: HEALTHY is not supported: the local launcher runs no health checks",
        ),
        (
            container(json!({"dependsOn": [{"containerName": "main", "condition": "READY"}]})),
            "work.json: containerDefinitions[0].dependsOn[0].condition: \"READY\" is not a condition; use START",
        ),
        (
            container(json!({"stopTimeout": 121})),
            "work.json: containerDefinitions[0].stopTimeout: is 121; it must be at most 120 seconds",
        ),
        (
            side(json!([{"containerName": "side", "condition": "START"}])),
            "work.json: containerDefinitions[0].dependsOn: the dependencies of the containers form a cycle",
        ),
        (
            side(json!([{"containerName": "side", "condition": "SUCCESS"}])),
            "work.json: containerDefinitions[0].dependsOn[0]: \"side\" is essential",
        ),
    ];
    for (value, expected) in cases {
        let problem = read(&value).unwrap_err().to_string();
        assert!(problem.starts_with(expected), "{problem} does not begin with {expected}");
    }
    let broken = parse(Path::new("work.json"), "{").unwrap_err();
    assert!(broken.to_string().starts_with("work.json: is not valid JSON: "), "{broken}");
}

#[test]
fn definition_without_a_command_is_parsed() {
    let containers = json!([{"name": "main", "image": "busybox"}, {"name": "side", "command": []}]);
    let definition = read(&with_containers(&containers)).unwrap();
    let commands: Vec<_> = definition.containers.iter().map(|one| one.command.len()).collect();
    assert_eq!(commands, [0, 0]);
}

#[test]
fn definition_with_more_than_ten_containers_is_refused() {
    let chain = |count: usize| -> Vec<Value> {
        let one = |number: usize| {
            let before = json!([{"containerName": format!("c{}", number + 1), "condition": "START"}]);
            let depends_on = if number + 1 < count { before } else { json!([]) };
            json!({"name": format!("c{number}"), "command": ["true"], "dependsOn": depends_on})
        };
        (0..count).map(one).collect()
    };
    assert_eq!(read(&with_containers(&json!(chain(10)))).unwrap().containers.len(), 10);
    let problem = read(&with_containers(&json!(chain(3_000)))).unwrap_err().to_string();
    assert_eq!(problem, "work.json: containerDefinitions: contains 3000 containers; at most 10 are allowed");
}

#[test]
fn stop_timeout_above_the_maximum_of_ecs_is_refused() {
    let with = |secs: u64| read(&with_containers(&json!([{"name": "main", "stopTimeout": secs}])));
    assert_eq!(with(120).unwrap().containers[0].stop_timeout_secs, 120);
    assert!(with(u64::MAX).unwrap_err().message.contains("at most 120 seconds"));
}

#[test]
fn a_member_that_is_there_twice_is_refused() {
    let of = |container: &str| {
        let text =
            format!(r#"{{"family": "work", "containerDefinitions": [{{"name": "main", {container}}}]}}"#);
        parse(Path::new("work.json"), &text)
    };
    assert!(of(r#""command": ["true"]"#).is_ok());
    let problem = of(r#""command": ["false"], "command": ["true"]"#).unwrap_err();
    assert!(problem.field.starts_with("containerDefinitions[0]"), "{problem}");
    assert!(problem.message.contains("duplicate field `command`"), "{problem}");
    let variable = r#""command": ["true"], "environment": [{"name": "A", "value": "1", "value": "2"}]"#;
    assert!(of(variable).unwrap_err().message.contains("duplicate field `value`"));
    let twice =
        r#"{"family": "a", "family": "b", "containerDefinitions": [{"name": "main", "command": ["true"]}]}"#;
    assert!(parse(Path::new("work.json"), twice).unwrap_err().message.contains("duplicate field `family`"));
    let described = format!(r#"{{"taskDefinition": {twice}}}"#);
    let problem = parse(Path::new("work.json"), &described).unwrap_err();
    assert!(problem.field.starts_with("taskDefinition"), "{problem}");
}
