//! Notifications: real receivers over HTTP, programs, and the whole way from a failed task to a receiver.

pub(crate) mod receiver;

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use ecs_scheduler::notify::{Channels, NotifyConfig};
use ecs_scheduler_core::{
    Clock, DeliveryError, JobId, Notification, NotificationKind, NotifiedJob, Notifier, NotifyRule,
    SystemClock, async_trait,
};
use serde_json::{Value, json};

use crate::crash::process::{PROGRAM, Scheduler};
use crate::crash::site::{Site, until};
use crate::harness::Server;
use receiver::{Answer, OK, Received, Receiver, SECRET, assert_signed, verify_by_library};

/// Opens the channels of a configuration.
fn open(config: &Value) -> Arc<dyn Notifier> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Channels::notifier(&NotifyConfig::parse(&config.to_string()).unwrap(), "nightly", &clock, None).unwrap()
}

/// Opens one channel, `ops`, which may send to this machine.
fn channel(channel: Value) -> Arc<dyn Notifier> {
    open(&json!({"channels": {"ops": channel}, "allow": ["127.0.0.0/8"]}))
}

fn webhook(url: &str) -> Value {
    json!({"type": "webhook", "url": url, "secret": SECRET, "headers": {"authorization": "Bearer t"}})
}

fn failing() -> Notification {
    let job = NotifiedJob::new(JobId::new("report").unwrap(), "3 ticks in a row failed");
    let at = "2026-06-01T12:00:00Z".parse().unwrap();
    Notification::of_job(NotificationKind::Failing, at, job, &["x"])
}

#[tokio::test]
async fn library_of_standard_webhooks_verifies_each_request_and_no_changed_one() {
    let receiver = Receiver::start(OK).await;
    let ops = channel(webhook(&receiver.url()));
    let job = NotifiedJob::new(JobId::new("report").unwrap(), "Größe 10 µm → \"0\" \\ €");
    let at = "2026-06-01T12:00:00Z".parse().unwrap();
    let special = Notification::of_job(NotificationKind::Unknown, at, job, &["y"]);
    let all = [failing(), Notification::test(at), special];
    for notification in &all {
        ops.deliver("ops", notification).await.unwrap();
    }
    let requests = receiver.received();
    let verified: Vec<String> = all.iter().map(|one| format!("verified {}", one.id)).collect();
    assert_eq!(verify_by_library(SECRET, &requests).await, verified);

    let refused = ["refused No matching signature found"; 3];
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    assert_eq!(verify_by_library(other, &requests).await, refused);
    let changed = |request: Received| Received { body: request.body.replacen('1', "2", 1), ..request };
    let changed: Vec<Received> = requests.into_iter().map(changed).collect();
    assert_eq!(verify_by_library(SECRET, &changed).await, refused);
}

#[tokio::test]
async fn webhook_gets_a_signed_cloudevent() {
    let receiver = Receiver::start(OK).await;
    let notification = failing();
    channel(webhook(&receiver.url())).deliver("ops", &notification).await.unwrap();
    let request = receiver.received().remove(0);
    assert!(request.head.starts_with("POST /hook?key=1 HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("host"), Some(receiver.address.to_string().as_str()));
    assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(request.header("authorization"), Some("Bearer t"));
    assert_signed(&request);
    let event = request.json();
    assert_eq!(
        (&event["specversion"], &event["type"], &event["subject"], &event["source"]),
        (
            &json!("1.0"),
            &json!("io.ecs-scheduler.job.failing"),
            &json!("report"),
            &json!("/ecs-scheduler/nightly")
        )
    );
}

#[tokio::test]
async fn slack_gets_a_text() {
    let receiver = Receiver::start(OK).await;
    channel(json!({"type": "slack", "url": receiver.url()})).deliver("ops", &failing()).await.unwrap();
    let expected = json!({"text": "[nightly] job report fails: 3 ticks in a row failed"});
    assert_eq!(receiver.received()[0].json(), expected);
}

#[tokio::test]
async fn answers_other_than_success_are_failures_and_only_410_is_final() {
    let cases = [
        (
            "HTTP/1.1 500 x\r\ncontent-length: 4\r\n\r\noops",
            "the receiver answered 500 Internal Server Error: oops",
        ),
        ("HTTP/1.1 400 x\r\ncontent-length: 0\r\n\r\n", "the receiver answered 400 Bad Request"),
        ("HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n", "the receiver answered 404 Not Found"),
    ];
    for (answer, expected) in cases {
        let receiver = Receiver::start(Answer::Says(answer)).await;
        let error = channel(webhook(&receiver.url())).deliver("ops", &failing()).await.unwrap_err();
        assert_eq!(error, DeliveryError::failed(expected));
    }
    let limited =
        Receiver::start(Answer::Says("HTTP/1.1 429 x\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n"))
            .await;
    let error = channel(webhook(&limited.url())).deliver("ops", &failing()).await.unwrap_err();
    let expected = DeliveryError::failed("the receiver answered 429 Too Many Requests");
    assert_eq!(error, expected.after(Some(Duration::from_secs(120))));
    let gone = Receiver::start(Answer::Says("HTTP/1.1 410 x\r\ncontent-length: 0\r\n\r\n")).await;
    let error = channel(webhook(&gone.url())).deliver("ops", &failing()).await.unwrap_err();
    assert_eq!(error, DeliveryError::refused("the receiver wants no more notifications (410)"));
    let closed = Receiver::start(Answer::Says("")).await;
    let error = channel(webhook(&closed.url())).deliver("ops", &failing()).await.unwrap_err();
    assert!(
        matches!(&error, DeliveryError::Failed { reason, .. } if reason.contains("connection")),
        "{error:?}"
    );
}

#[tokio::test]
async fn receiver_that_closes_the_connection_behind_its_answer_has_confirmed() {
    let receiver = Receiver::start(Answer::Says("HTTP/1.0 200 OK\r\n\r\n")).await;
    let ops = channel(webhook(&receiver.url()));
    for attempt in 0..40 {
        let delivered = ops.deliver("ops", &failing()).await;
        assert!(delivered.is_ok(), "{attempt}: {delivered:?}");
    }
}

#[tokio::test]
async fn error_shows_no_answer_that_repeats_parts_of_the_channel() {
    let page = "HTTP/1.1 404 Not Found\r\ncontent-length: 17\r\n\r\nCannot POST /hook";
    let receiver = Receiver::start(Answer::Says(page)).await;
    let error = channel(webhook(&receiver.url())).deliver("ops", &failing()).await.unwrap_err().to_string();
    assert_eq!(error, "the receiver answered 404 Not Found");
}

#[test]
fn error_about_a_value_of_a_wrong_type_shows_no_secret() {
    for channel in [
        json!("https://hooks.slack.com/services/T000/B000/hidden0"),
        json!({"type": "webhook", "url": "https://a.example", "secret": SECRET, "headers": "Bearer hidden0"}),
    ] {
        let error =
            NotifyConfig::parse(&json!({"channels": {"ops": channel}}).to_string()).unwrap_err().join("\n");
        assert!(error.starts_with("notify.channels.ops") && !error.contains("hidden0"), "{error}");
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let target = Receiver::start(OK).await;
    let answer = format!("HTTP/1.1 307 x\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url());
    let receiver = Receiver::start(Answer::Says(answer.leak())).await;
    let error = channel(webhook(&receiver.url())).deliver("ops", &failing()).await.unwrap_err();
    assert!(error.to_string().contains("redirects are not followed"), "{error}");
    assert_eq!((receiver.received().len(), target.received().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn receiver_that_never_answers_fails_in_time() {
    let receiver = Receiver::start(Answer::Nothing).await;
    let began = tokio::time::Instant::now();
    let error = channel(webhook(&receiver.url())).deliver("ops", &failing()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Failed { .. }), "{error:?}");
    assert!(began.elapsed() <= Duration::from_secs(11), "{:?}", began.elapsed());
}

#[tokio::test]
async fn answer_without_an_end_is_read_up_to_a_bound() {
    let receiver = Receiver::start(Answer::Endless).await;
    let error = channel(webhook(&receiver.url())).deliver("ops", &failing()).await.unwrap_err();
    assert!(error.to_string().starts_with("the receiver answered 500"), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_to_this_machine_or_to_metadata_services() {
    let receiver = Receiver::start(OK).await;
    let port = receiver.address.port();
    let own = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
    ];
    for url in own {
        let channels = json!({"channels": {"ops": webhook(&url)}});
        let error = open(&channels).deliver("ops", &failing()).await.unwrap_err();
        assert!(error.to_string().contains("this machine"), "{url}: {error}");
        let listed = json!({"channels": {"ops": webhook(&url)}, "allow": ["localhost", "127.0.0.1.nip.io"]});
        open(&listed).deliver("ops", &failing()).await.unwrap_err();
    }
    let metadata = ["169.254.169.254", "169.254.170.2", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "[fe80::1]"];
    for host in metadata {
        let url = format!("http://{host}/latest/meta-data/");
        let channels = json!({"channels": {"ops": webhook(&url)}, "allow": ["0.0.0.0/0", "::/0"]});
        let error = open(&channels).deliver("ops", &failing()).await.unwrap_err();
        assert!(error.to_string().ends_with("nothing is sent there"), "{url}: {error}");
    }
    let other =
        json!({"channels": {"ops": webhook(&receiver.url())}, "allow": ["hooks.example.com", "10.0.0.0/8"]});
    open(&other).deliver("ops", &failing()).await.unwrap_err();
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn program_gets_the_event_on_its_input_and_its_exit_code_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("event");
    let run = |script: &str| {
        channel(json!({"type": "command", "command": ["/bin/sh", "-c", script, file.to_str().unwrap()]}))
    };
    let notification = failing();
    run("cat > \"$0\"; echo \"$ECSS_NOTIFICATION_ID\" > \"$0.id\"")
        .deliver("ops", &notification)
        .await
        .unwrap();
    let event: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(event["type"], "io.ecs-scheduler.job.failing");
    let id = std::fs::read_to_string(file.with_extension("id")).unwrap();
    assert_eq!(id.trim(), notification.id);
    let error = run("echo no pager >&2; exit 3").deliver("ops", &notification).await.unwrap_err();
    assert_eq!(error, DeliveryError::failed("/bin/sh ended with exit status: 3: no pager"));
    run("exec true <&-").deliver("ops", &notification).await.unwrap();
    let missing = channel(json!({"type": "command", "command": ["/nowhere/page"]}));
    let error = missing.deliver("ops", &notification).await.unwrap_err();
    assert!(error.to_string().starts_with("could not run /nowhere/page: "), "{error}");
}

#[tokio::test]
async fn program_that_has_ended_counts_although_it_left_another_one_running() {
    let script = ["/bin/sh", "-c", "sleep 15 & exit 0"];
    channel(json!({"type": "command", "command": script})).deliver("ops", &failing()).await.unwrap();
}

#[tokio::test]
async fn program_that_hangs_is_killed_with_the_programs_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = ["/bin/sh", "-c", "sleep 60 & echo $! > \"$0\"; wait", file.to_str().unwrap()];
    let hangs = channel(json!({"type": "command", "command": script}));
    let error = hangs.deliver("ops", &failing()).await.unwrap_err();
    assert_eq!(error, DeliveryError::failed("could not run /bin/sh: it did not end within 10 s"));
    let stat = format!("/proc/{}/stat", std::fs::read_to_string(&file).unwrap().trim());
    let is_over = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    until("the program that it started has ended", async || is_over()).await;
}

/// A notifier of which only the names are used, and whose deliveries fail.
#[derive(Debug)]
struct Named(Vec<String>);

#[async_trait]
impl Notifier for Named {
    fn channels(&self) -> &[String] {
        &self.0
    }

    fn defaults(&self) -> &[NotifyRule] {
        &[]
    }

    async fn deliver(&self, _: &str, notification: &Notification) -> Result<(), DeliveryError> {
        assert_eq!(notification.kind, NotificationKind::Test);
        Err(DeliveryError::failed("the receiver answered 500"))
    }
}

/// A receiver that confirms each delivery but the first.
#[derive(Debug, Default)]
struct Recovering(std::sync::atomic::AtomicUsize);

#[async_trait]
impl Notifier for Recovering {
    fn channels(&self) -> &[String] {
        static NAMES: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| vec!["ops".to_owned()]);
        &NAMES
    }

    fn defaults(&self) -> &[NotifyRule] {
        &[]
    }

    async fn deliver(&self, _: &str, _: &Notification) -> Result<(), DeliveryError> {
        let earlier = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if earlier == 0 { Err(DeliveryError::failed("the receiver answered 500")) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn test_with_an_idempotency_key_is_sent_until_it_is_delivered_and_then_not_again() {
    let notifier = Arc::new(Recovering::default());
    let server = Server::notifying(Arc::clone(&notifier) as _).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let body = json!({"channel": "ops"}).to_string();
    let mut answers = Vec::new();
    for _ in 0..3 {
        let tested = server.call("POST", "/notifications/test", &headers, body.clone()).await;
        assert_eq!(tested.status, StatusCode::OK, "{}", tested.text());
        answers.push((tested.json()["delivered"].clone(), tested.header("idempotent-replayed").to_owned()));
    }
    let expected = [(false, ""), (true, ""), (true, "true")];
    assert_eq!(answers, expected.map(|(delivered, replayed)| (json!(delivered), replayed.to_owned())));
    assert_eq!(notifier.0.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn api_lists_channels_tests_them_and_checks_the_names_in_jobs() {
    let server = Server::notifying(Arc::new(Named(vec!["dev".to_owned(), "ops".to_owned()]))).await;
    let channel = |name: &str| json!({"name": name, "configured": true, "pending": 0});
    let expected = json!({"channels": [channel("dev"), channel("ops")], "pending": [], "failed": []});
    assert_eq!(server.get("/notifications").await.json(), expected);

    let tested = server.json("POST", "/notifications/test", json!({"channel": "ops"})).await;
    assert_eq!(tested.status, StatusCode::OK, "{}", tested.text());
    let tested = tested.json();
    assert_eq!(
        (&tested["delivered"], &tested["error"]),
        (&json!(false), &json!("the receiver answered 500"))
    );
    for _ in 1..10 {
        let tested = server.json("POST", "/notifications/test", json!({"channel": "dev"})).await;
        assert_eq!(tested.status, StatusCode::OK);
    }
    let refused = server.json("POST", "/notifications/test", json!({"channel": "ops"})).await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"6".parse().unwrap())
    );
    tokio::time::advance(Duration::from_secs(6)).await;
    let tested = server.json("POST", "/notifications/test", json!({"channel": "ops"})).await;
    assert_eq!(tested.status, StatusCode::OK, "{}", tested.text());
    for (body, message) in [
        (json!({"channel": "opz"}), "Must be one of the configured channels: dev, ops."),
        (json!({"channel": 1}), "Not a valid string."),
        (json!({}), "Missing data for required field."),
    ] {
        let refused = server.json("POST", "/notifications/test", body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert_eq!(refused.json()["errors"], json!([{"pointer": "/channel", "message": message}]));
    }

    let job = |to: &str| json!({"id": "job", "taskDefinition": "job", "schedule": "0 0 3", "notify": [{"to": to, "on": ["failing:3"]}]});
    let refused = server.json("POST", "/jobs", job("opz")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let message = "Must be one of the configured channels: dev, ops. Did you mean \"ops\"?";
    assert_eq!(refused.json()["errors"], json!([{"pointer": "/notify/0/to", "message": message}]));
    assert_eq!(server.json("POST", "/jobs", job("ops")).await.status, StatusCode::CREATED);
    assert_eq!(server.get("/jobs/job").await.json()["notify"], job("ops")["notify"]);
    let metrics = server.get("/metrics").await.text();
    for line in [
        "ecs_scheduler_notifications_pending 0",
        "ecs_scheduler_notification_deliveries_total{result=\"delivered\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_channels_a_job_that_names_one_is_refused_with_the_remedy() {
    let server = Server::start().await;
    let job = json!({"id": "job", "taskDefinition": "job", "schedule": "0 0 3", "notify": [{"to": "ops", "on": ["missed"]}]});
    let refused = server.json("POST", "/jobs", job).await;
    let message = "No channel is configured: add it under notify.channels in the file of ECSS_CONFIG_FILE.";
    assert_eq!(refused.json()["errors"], json!([{"pointer": "/notify/0/to", "message": message}]));
}

#[tokio::test]
async fn receiver_gets_a_task_that_fails_three_times_and_its_recovery() {
    let receiver = Receiver::start(OK).await;
    let mut site = Site::new();
    let mut config = receiver.config();
    config["notify"]["default"] = json!([{"to": "ops", "on": ["failing:3", "recovered"]}]);
    config["notify"]["channels"]["ops"]["secret"] = json!({"env": "OPS_SECRET"});
    site.configure(&config);
    site.environment.push(("OPS_SECRET", SECRET.to_owned()));
    let switch = site.path("works");
    site.define("work", &format!("test -e {}", switch.display()));
    let scheduler = Scheduler::start(&site).await;
    let job = json!({"id": "work", "taskDefinition": "work", "schedule": "*"});
    let (status, body) = scheduler.try_post("/jobs", &job).await;
    assert_eq!(status, reqwest::StatusCode::CREATED, "{body}");
    until("the failure arrives", async || !receiver.received().is_empty()).await;
    let request = receiver.received().remove(0);
    assert_signed(&request);
    let event = request.json();
    assert_eq!((&event["type"], &event["subject"]), (&json!("io.ecs-scheduler.job.failing"), &json!("work")));
    let data = &event["data"];
    assert!(data["count"].as_u64().unwrap() >= 3, "{event}");
    assert!(data["text"].as_str().unwrap().ends_with("the program exited with code 1"), "{event}");
    assert_eq!(data["remedy"], "read the log of the task; the exit code is the program's own");
    std::fs::write(&switch, "").unwrap();
    until("the recovery arrives", async || receiver.received().len() > 1).await;
    let event = receiver.received()[1].json();
    assert_eq!(event["type"], "io.ecs-scheduler.job.recovered");
    let (status, body) = scheduler.try_post("/notifications/test", &json!({"channel": "ops"})).await;
    assert!(status.is_success() && body.contains("\"delivered\":true"), "{body}");
    let state = scheduler.get("/notifications").await;
    assert_eq!(state["failed"], json!([]), "{state}");
    let server = format!("http://127.0.0.1:{}", site.port);
    let (done, shown) = command(&["notifications", "--server", &server], &[]).await;
    assert!(done && shown.starts_with("CHANNEL  CONFIGURED  PENDING"), "{shown}");
    let (done, shown) =
        command(&["notifications", "list", "--channel", "opz", "--server", &server], &[]).await;
    assert!(!done && shown == "error: there is no channel \"opz\"\n", "{shown}");
    let (done, shown) = command(&["notifications", "test", "ops", "--server", &server], &[]).await;
    assert!(done && shown == "channel ops has confirmed the test\n", "{shown}");
    assert_eq!(receiver.received().last().unwrap().json()["type"], "io.ecs-scheduler.test");
}

/// Runs the program; returns whether it succeeded, and its output, or what it wrote to standard error.
async fn command(arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String) {
    let mut command = tokio::process::Command::new(PROGRAM);
    let output =
        command.args(arguments).env_clear().envs(environment.iter().copied()).output().await.unwrap();
    let shown = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(shown).unwrap())
}

#[tokio::test]
async fn wrong_channels_are_reported_at_once_and_variables_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scheduler.yaml");
    let check = async |channels: &str, environment: &[(&str, &str)]| {
        std::fs::write(&file, format!("notify:\n  channels:\n{channels}")).unwrap();
        let more = [
            ("ECSS_CONFIG_FILE", file.to_str().unwrap()),
            ("ECSS_LAUNCHER", "local"),
            ("ECSS_STORE", "memory"),
        ];
        command(&["config", "check"], &[&more, environment].concat()).await
    };
    let unset = "    a: {type: slack, url: {env: HOOK}}\n    b: {type: slack, url: {env: OTHER}}\n";
    let (valid, told) = check(unset, &[]).await;
    assert!(!valid);
    for (name, variable) in [("a", "HOOK"), ("b", "OTHER")] {
        let line =
            format!("error: notify.channels.{name}.url: the environment variable {variable} is not set\n");
        assert!(told.contains(&line), "{told}");
    }
    let environment = [("ECSS_CONFIG_FILE", file.to_str().unwrap())];
    let (_, told) = command(&["jobs", "list", "--server", "http://127.0.0.1:1"], &environment).await;
    assert!(told.contains("could not reach") && !told.contains("HOOK"), "a client needs no variable: {told}");
    let (valid, told) = check(unset, &[("HOOK", "ftp://x"), ("OTHER", "nothing")]).await;
    assert!(!valid && told.matches("error: notify.channels.").count() == 2, "{told}");
    let hook = "https://hooks.example.com/T0/hidden";
    let (valid, shown) = check(unset, &[("HOOK", hook), ("OTHER", hook)]).await;
    assert!(valid && !shown.contains("T0"), "{shown}");
}
