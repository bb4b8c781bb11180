//! Clients that send bodies by the byte, or ask for large answers and read none of them: jobs of the program itself fire on time in
//! little memory, and health answers.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::audit::{audit, open};
use super::process::Scheduler;
use super::site::Site;
use super::steps::create;

/// Half of them send slowly, half of them read nothing.
const CLIENTS: usize = 120;
/// The jobs that make a large answer, and the characters of each.
const LARGE_JOBS: usize = 50;
const LARGE: usize = 100_000;
/// How many MiB the program may have in memory. Its jobs are 5 MiB of it.
const MAX_MEMORY: u64 = 200;
/// How late a tick may be decided, in milliseconds.
const MAX_LATENESS: i128 = 3_000;

#[tokio::test]
async fn jobs_fire_on_time_in_little_memory_while_clients_send_slowly_and_read_nothing() {
    let site = Site::new();
    site.define("work", "");
    let store = open(&site).await;
    let large = json!({"taskDefinition": "work", "schedule": "@yearly", "description": "x".repeat(LARGE)});
    for number in 0..LARGE_JOBS {
        create(&*store, &format!("large-{number}"), &large).await;
    }
    store.close().await.unwrap();
    drop(store);
    let scheduler = Scheduler::start(&site).await;
    scheduler.create("a", &json!({"taskDefinition": "work", "schedule": "*"})).await;
    site.wait_for_starts(1).await;

    let mut clients = scheduler.connect_idle(CLIENTS).await;
    for (number, client) in clients.iter_mut().enumerate() {
        let request = if number % 2 == 0 {
            "POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n{"
        } else {
            "GET /jobs?count=50 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        };
        client.write_all(request.as_bytes()).await.unwrap();
    }
    let started = site.starts().len();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(scheduler.status(path).await, Some(StatusCode::OK), "{path}");
    }
    site.wait_for_starts(started + 5).await;
    let memory = scheduler.peak_memory_mib();
    assert!(memory < MAX_MEMORY, "{memory} MiB");
    drop(clients);

    for decision in scheduler.list("/jobs/a/decisions?limit=5", "decisions").await {
        let moment = |name: &str| decision[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let late = moment("observed").duration_since(moment("nominal")).as_millis();
        assert!(late < MAX_LATENESS, "{late} ms late: {decision}");
    }
    // Nobody can suspend them: their descriptions are longer than the API takes.
    for number in 0..LARGE_JOBS {
        let (status, answer) =
            scheduler.send(Method::DELETE, &format!("/jobs/large-{number}"), &Value::Null).await;
        assert!(status.is_success(), "{answer}");
    }
    scheduler.quiesce().await;
    scheduler.terminate().await;
    audit(&site).await;
}
