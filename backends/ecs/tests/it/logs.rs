//! The output of tasks, read from the log streams of the fake's CloudWatch Logs.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{
    FaultKind, Launcher as _, LogPage, LogRequest, LogStart, MAX_LOG_LINES, TaskId, TaskLogs as _, Timestamp,
};
use ecs_scheduler_fake_aws::{FaultRule, InjectedFault, Service};
use serde_json::{Value, json};

use crate::help::{Rig, beginning, ids, request, task};

const REGION: &str = "eu-central-1";

/// A running task of the definition `logged`, and its log streams.
struct Logged {
    rig: Rig,
    task: TaskId,
}

impl Logged {
    /// Starts a task whose containers have these log configurations; the group `/work` exists.
    async fn new(containers: &[(&str, Value)]) -> Self {
        let rig = Rig::new().await;
        rig.fake.logs().create_group("/work");
        let containers: Vec<Value> = containers
            .iter()
            .map(|(name, log)| {
                json!({ "name": name, "image": "busybox", "memory": 64, "logConfiguration": log })
            })
            .collect();
        let definition =
            json!({ "family": "logged", "networkMode": "bridge", "containerDefinitions": containers });
        rig.fake.ecs().register(&definition).expect("the definition is complete");
        let request = request("a", 1, 1, task("logged", json!({})));
        let task = ids(&rig.launcher().launch(&request).await.expect("the task starts")).remove(0);
        Self { rig, task }
    }

    fn stream(&self, container: &str) -> String {
        format!("ecs/{container}/{}", self.task.as_str().rsplit('/').next().unwrap_or_default())
    }

    fn create(&self, container: &str) {
        self.rig.fake.logs().create_stream("/work", &self.stream(container));
    }

    /// Writes lines, each at its second.
    fn write(&self, container: &str, lines: &[(i64, &str)]) {
        let events: Vec<_> = lines.iter().map(|(second, text)| (at(*second), *text)).collect();
        self.rig.fake.logs().put("/work", &self.stream(container), &events);
    }

    fn request(&self) -> LogRequest {
        LogRequest::new(self.task.clone(), "logged:1")
    }

    async fn read(&self, request: &LogRequest) -> LogPage {
        let page = self.rig.launcher().read_log(request).await.expect("the output can be read");
        assert!(page.is_within(request));
        page
    }

    async fn refusal(&self, request: &LogRequest) -> (FaultKind, String) {
        let error = self.rig.launcher().read_log(request).await.expect_err("the output cannot be read");
        (error.kind(), ecs_scheduler_core::fault::chain(&error))
    }
}

fn awslogs() -> Value {
    let options = json!({
        "awslogs-group": "/work", "awslogs-region": REGION, "awslogs-stream-prefix": "ecs",
    });
    json!({ "logDriver": "awslogs", "options": options })
}

fn at(second: i64) -> Timestamp {
    beginning() + jiff::SignedDuration::from_secs(second)
}

fn newest(lines: usize) -> LogStart {
    LogStart::Newest(NonZeroUsize::new(lines).expect("tests read lines"))
}

fn texts(page: &LogPage) -> Vec<&str> {
    page.lines.iter().map(|line| line.text.as_str()).collect()
}

#[tokio::test]
async fn lines_of_several_containers_are_merged_by_time_and_read_once() {
    let logged = Logged::new(&[("main", awslogs()), ("side", awslogs())]).await;
    let mut request = logged.request();
    assert!(logged.read(&request).await.is_unwritten);
    logged.create("main");
    logged.write("main", &[(1, "one\n"), (3, "three")]);
    let first = logged.read(&request).await;
    assert_eq!((texts(&first), first.has_more, first.is_unwritten), (vec!["one", "three"], false, false));
    assert_eq!((first.lines[0].at, first.lines[0].container.as_str()), (Some(at(1)), "main"));
    request.start = LogStart::After(first.next);
    logged.create("side");
    logged.write("side", &[(2, "two"), (5, "five")]);
    logged.write("main", &[(4, "four")]);
    let second = logged.read(&request).await;
    assert_eq!((texts(&second), second.has_more), (vec!["two", "four", "five"], false));
    request.start = LogStart::After(second.next);
    assert_eq!(texts(&logged.read(&request).await), Vec::<&str>::new());
    request.container = Some("side".to_owned());
    request.start = LogStart::Oldest;
    assert_eq!(texts(&logged.read(&request).await), ["two", "five"]);
}

#[tokio::test]
async fn pages_end_at_their_bounds_also_when_pages_of_aws_are_empty() {
    for empty_pages in [false, true] {
        let logged = Logged::new(&[("main", awslogs()), ("side", awslogs())]).await;
        logged.rig.fake.configure(|settings| settings.logs.empty_pages = empty_pages);
        let large = "a".repeat(400_000);
        for container in ["main", "side"] {
            logged.create(container);
            for second in 0..4 {
                logged.write(container, &[(second, &large)]);
            }
        }
        let mut request = logged.request();
        let mut counts = [0, 0];
        loop {
            let page = logged.read(&request).await;
            for line in &page.lines {
                counts[usize::from(line.container == "side")] += 1;
            }
            request.start = LogStart::After(page.next);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(counts, [4, 4]);
        request.start = newest(3);
        let last = logged.read(&request).await;
        assert_eq!(last.lines.len(), 2, "only so many large lines fit");
        assert_eq!(last.lines[1].at, Some(at(3)));
    }
}

#[tokio::test]
async fn newest_lines_and_lines_since_a_moment_are_read() {
    let logged = Logged::new(&[("main", awslogs())]).await;
    logged.create("main");
    logged.write("main", &[(1, "one"), (2, "two"), (3, "three")]);
    let mut request = logged.request();
    request.start = newest(2);
    let page = logged.read(&request).await;
    assert_eq!((texts(&page), page.has_more), (vec!["two", "three"], false));
    logged.write("main", &[(4, "four")]);
    request.start = LogStart::After(page.next);
    assert_eq!(texts(&logged.read(&request).await), ["four"]);
    (request.start, request.since) = (LogStart::Oldest, Some(at(3)));
    assert_eq!(texts(&logged.read(&request).await), ["three", "four"]);
    (request.since, request.max_lines) = (None, 3);
    let page = logged.read(&request).await;
    assert_eq!((texts(&page), page.has_more), (vec!["one", "two", "three"], true));
    request.max_lines = MAX_LOG_LINES;
    request.start = newest(MAX_LOG_LINES);
    assert_eq!(logged.read(&request).await.lines.len(), 4);
}

#[tokio::test]
async fn output_that_is_not_in_cloudwatch_logs_is_refused_with_the_place_to_look() {
    let containers =
        [("fluent", json!({ "logDriver": "awsfirelens" })), ("other", json!({ "logDriver": "splunk" }))];
    let logged = Logged::new(&containers).await;
    let mut request = logged.request();
    let (kind, text) = logged.refusal(&request).await;
    assert_eq!(kind, FaultKind::NotFound);
    assert!(text.contains("container \"fluent\" of logged:1: its log driver awsfirelens"), "{text}");
    assert!(text.contains("its log driver splunk does not write to CloudWatch Logs"), "{text}");
    request.container = Some("mian".to_owned());
    let (kind, text) = logged.refusal(&request).await;
    assert_eq!(kind, FaultKind::NotFound);
    assert!(text.contains("no container \"mian\"; its containers are fluent, other"), "{text}");
    request.definition = "gone:7".to_owned();
    let (kind, text) = logged.refusal(&request).await;
    assert_eq!(kind, FaultKind::NotFound);
    assert!(text.contains("task definition gone:7, which names its log group, does not exist"), "{text}");
}

#[tokio::test]
async fn missing_stream_of_an_ended_task_is_reported_with_the_answer_of_aws() {
    let logged = Logged::new(&[("main", awslogs())]).await;
    let mut request = logged.request();
    request.has_ended = true;
    let (kind, text) = logged.refusal(&request).await;
    assert_eq!(kind, FaultKind::NotFound);
    let said = ["its containers wrote nothing", "log group \"/work\"", "log stream does not exist"];
    assert!(said.iter().all(|part| text.contains(part)), "{text}");
}

#[tokio::test]
async fn denied_read_names_the_permission_and_the_stream() {
    let logged = Logged::new(&[("main", awslogs())]).await;
    logged.create("main");
    logged.rig.fake.configure(|settings| {
        settings.permissions.denied.insert("logs:GetLogEvents".to_owned());
    });
    let (kind, text) = logged.refusal(&logged.request()).await;
    assert_eq!(kind, FaultKind::Denied);
    let resource =
        format!("arn:aws:logs:{REGION}:123456789012:log-group:/work:log-stream:{}", logged.stream("main"));
    assert!(text.contains("allow logs:GetLogEvents") && text.contains(&resource), "{text}");
}

#[tokio::test]
async fn throttled_read_is_retried_a_bounded_number_of_times() {
    let logged = Logged::new(&[("main", awslogs())]).await;
    logged.create("main");
    logged.write("main", &[(1, "one")]);
    let throttled = || FaultRule::once(Service::Logs, "GetLogEvents", InjectedFault::Throttled);
    logged.rig.fake.faults().add(throttled());
    assert_eq!(texts(&logged.read(&logged.request()).await), ["one"]);
    logged.rig.fake.faults().add(FaultRule::every(Service::Logs, InjectedFault::Throttled));
    let before = logged.rig.fake.calls(Service::Logs, "GetLogEvents").calls;
    let (kind, _) = logged.refusal(&logged.request()).await;
    assert_eq!(kind, FaultKind::Throttled);
    assert!(logged.rig.fake.calls(Service::Logs, "GetLogEvents").calls - before <= 3);
}

#[tokio::test]
async fn log_group_of_another_region_is_read_there() {
    let mut elsewhere = awslogs();
    elsewhere["options"]["awslogs-region"] = json!("us-east-1");
    let logged = Logged::new(&[("main", elsewhere)]).await;
    logged.create("main");
    let mut request = logged.request();
    request.has_ended = true;
    let (_, text) = logged.refusal(&request).await;
    assert!(text.contains("log group does not exist"), "the group is in {REGION}: {text}");
}

#[tokio::test]
async fn token_that_aws_refuses_is_an_invalid_request() {
    let logged = Logged::new(&[("main", awslogs())]).await;
    logged.create("main");
    let mut request = logged.request();
    request.start = LogStart::After(ecs_scheduler_core::LogCursor::from_positions([("main", "f/1")]));
    let (kind, text) = logged.refusal(&request).await;
    assert_eq!(kind, FaultKind::Config);
    assert!(text.contains("nextToken is invalid"), "{text}");
}
