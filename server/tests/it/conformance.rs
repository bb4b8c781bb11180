//! Recorded answers of the Python version, step by step. Every difference is listed in a snapshot, with its reason.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::harness::{Reply, Server};

const CASES: &[u8] = include_bytes!("../fixtures/rest.jsonl.gz");

/// Differences that are meant and that the recording does not mark: scenario, what differs, why.
const MEANT: [(&str, &str); 24] = [
    ("content-type", "media types are case-insensitive, so that there is one more job (R-CTCASE)"),
    ("schedule-invalid", "`@daily` is one of five spellings"),
    ("schedule-type-list", "a list of schedules is their union"),
    ("put-schedule-type", "a list of schedules is their union"),
    ("schedule-text-kept", "words behind the eighth field load from a store and are refused when written"),
    ("put-id-and-readonly", "unknown fields are refused with the nearest known name"),
    ("method-not-allowed", "jobs can be patched, and `Allow` says so"),
    ("spec", "the description is OpenAPI 3.1 instead of Swagger 2.0"),
    ("create-id-without-taskdefinition", "a job without a task definition is shown the one it uses: its id"),
    ("create-unknown-fields", "unknown fields are refused with the nearest known name"),
    ("schedule-blank", "a blank schedule is refused, so that there is no such job"),
    ("schedule-put-empty", "an empty schedule is refused, so that the old one stays"),
    ("schedule-lenient", "names with something behind them are refused when written"),
    ("put-null", "null removes a field"),
    ("taskcount-over-maxcount", "a number of tasks above the limit gives a warning"),
    ("run-max-count", "a number of tasks above the limit gives a warning"),
    ("overrides-put", "what follows from null removing a field"),
    ("home", "unknown parameters are refused"),
    ("create-json-oddities", "a member that is there twice is refused"),
    (
        "pagination-odd",
        "a page before this one is always linked (R-PAGEPREV), also for `skip=%2B3`; unknown and repeated parameters are refused",
    ),
    ("restart-sqlite", "a job without a task definition is shown the one it uses: its id"),
    ("restart-sqlite-naive", "a moment without an offset is UTC"),
    ("datetimes-naive-dst-gap", "a moment without an offset is UTC, so that it is in no gap"),
    ("run-then-restart", "the last run survives a restart"),
];

#[derive(Deserialize)]
struct Scenario {
    name: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Action { action: String },
    Request(Box<Asked>),
}

#[derive(Deserialize)]
struct Asked {
    method: String,
    path: String,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<String>,
    wait_ms: Option<u64>,
    status: u16,
    response_headers: Map<String, Value>,
    response_json: Option<Value>,
    seed_bug: Option<String>,
    better_status: Option<Vec<u16>>,
}

#[tokio::test(start_paused = true)]
async fn the_recorded_answers_of_the_python_version_hold() {
    let mut text = String::new();
    GzDecoder::new(CASES).read_to_string(&mut text).unwrap();
    let (mut differences, mut wrong) = (String::new(), Vec::new());
    let mut used = BTreeSet::new();
    let mut steps = 0;
    for line in text.lines() {
        let scenario: Scenario = serde_json::from_str(line).unwrap();
        let meant = MEANT.iter().find(|(name, _)| *name == scenario.name).map(|(_, why)| *why);
        for difference in replay(&scenario, &mut steps).await {
            let why = difference.marked.as_deref().or(meant.inspect(|_| {
                used.insert(scenario.name.clone());
            }));
            match why {
                Some(why) => {
                    writeln!(differences, "{}\n    {}\n    because: {why}", scenario.name, difference.text)
                        .unwrap();
                }
                None => wrong.push(format!("{}: {}", scenario.name, difference.text)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {steps} steps differ:\n{}", wrong.len(), wrong.join("\n"));
    let unused: Vec<_> = MEANT.iter().map(|(name, _)| *name).filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "differences that are gone: {unused:?}");
    insta::assert_snapshot!("rest_differences", differences);
}

struct Difference {
    text: String,
    /// The recording's mark of a bug, which allows a difference unless it says which status would be better.
    marked: Option<String>,
}

async fn replay(scenario: &Scenario, steps: &mut usize) -> Vec<Difference> {
    let mut server = Server::start().await;
    let mut differences = Vec::new();
    for step in &scenario.steps {
        let asked = match step {
            Step::Action { action } => {
                assert_eq!(action, "restart", "an action of the recorded cases");
                server = server.restart().await;
                continue;
            }
            Step::Request(asked) => asked,
        };
        *steps += 1;
        let reply = send(&server, asked).await;
        if let Err(what) = compare(asked, &reply) {
            let body = asked.body.as_deref().unwrap_or_default();
            let text = format!(
                "{} {} {body}\n    recorded {}, here {} {}\n    {what}",
                asked.method,
                asked.path,
                asked.status,
                reply.status.as_u16(),
                shown(&reply),
            );
            let allowed = asked.better_status.as_ref();
            let better = allowed.is_none_or(|allowed| allowed.contains(&reply.status.as_u16()));
            differences.push(Difference { text, marked: asked.seed_bug.clone().filter(|_| better) });
        }
    }
    assert!(server.engine.stop(Duration::from_secs(60)).await);
    differences
}

async fn send(server: &Server, asked: &Asked) -> Reply {
    if let Some(millis) = asked.wait_ms {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    let headers: Vec<(&str, &str)> =
        asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    // Clients escape these before they send them.
    let path = asked.path.replace('<', "%3C").replace('>', "%3E");
    server.call(&asked.method, &path, &headers, asked.body.clone().unwrap_or_default()).await
}

/// The OpenAPI document has a snapshot of its own.
fn shown(reply: &Reply) -> String {
    let text = reply.text();
    if text.len() > 2_000 {
        format!("({} bytes)", text.len() / 10_000 * 10_000)
    } else {
        text.trim().to_owned()
    }
}

fn compare(asked: &Asked, reply: &Reply) -> Result<(), String> {
    if reply.status.as_u16() != asked.status {
        return Err("another status".to_owned());
    }
    for (name, expected) in &asked.response_headers {
        let actual = Value::from(reply.header(name));
        let same = match name.as_str() {
            "allow" => methods(expected.as_str().unwrap()) == methods(reply.header(name)),
            _ => matches(expected, &actual),
        };
        if !same {
            return Err(format!("another {name}: {actual}"));
        }
    }
    let Some(expected) = &asked.response_json else { return Ok(()) };
    let actual = reply.json();
    if asked.status < 400 {
        return if matches(expected, &actual) { Ok(()) } else { Err(format!("recorded {expected}")) };
    }
    if let Some(messages) = expected.get("messages") {
        return if *messages == actual["messages"] { Ok(()) } else { Err(format!("recorded {expected}")) };
    }
    let worded =
        matches!(asked.status, 409 | 415) || expected["message"].as_str().unwrap().starts_with("Job ");
    let same = if worded { expected["message"] == actual["message"] } else { actual["message"].is_string() };
    if same { Ok(()) } else { Err(format!("recorded {expected}")) }
}

fn methods(allow: &str) -> BTreeSet<&str> {
    allow.split(',').map(str::trim).collect()
}

fn matches(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(fields), Value::String(text)) => {
            let pattern = fields.get("$re").and_then(Value::as_str);
            pattern.is_some_and(|pattern| Regex::new(pattern).unwrap().is_match(text))
        }
        (Value::Object(expected), Value::Object(actual)) => {
            expected.len() == actual.len()
                && expected.iter().all(|(name, value)| {
                    actual.get(name).is_some_and(|actual| match name.as_str() {
                        "prev" | "next" => link(value) == link(actual),
                        _ => matches(value, actual),
                    })
                })
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len()
                && expected.iter().zip(actual).all(|(expected, actual)| matches(expected, actual))
        }
        _ => expected == actual,
    }
}

fn link(value: &Value) -> (&str, BTreeSet<&str>) {
    let text = value.as_str().unwrap_or_default();
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    (path, query.split('&').filter(|pair| !pair.is_empty()).collect())
}
