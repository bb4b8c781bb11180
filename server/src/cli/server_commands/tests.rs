use insta::assert_snapshot;
use serde_json::json;

use super::{brake, budgets, decisions, firings, replicas, stats};

#[test]
fn brake_shows_its_start_and_reason() {
    assert_eq!(brake(&json!({"on": false})), "the brake is off\n");
    let on = json!({"on": true, "reason": "runaway\nqueue", "since": "2027-01-01T02:00:00Z"});
    assert_eq!(brake(&on), "the brake is on since 2027-01-01T02:00:00Z: runaway\\u{a}queue\n");
}

#[test]
fn decisions_about_all_jobs_are_a_table() {
    let answer = json!({"decisions": [
        {"nominal": "2027-01-01T02:00:00Z", "job": "nightly", "outcome": "launched", "ticks": 1, "launch": 2,
         "explanation": "due, taskCount → 2"},
        {"nominal": "2027-01-01T01:59:30Z", "job": "orders", "outcome": "idle", "ticks": 61, "launch": 0,
         "explanation": "no message → 0"},
    ]});
    assert_snapshot!(decisions(&answer), @r"
    TICK                  JOB      OUTCOME   TICKS  TASKS  WHY
    2027-01-01T02:00:00Z  nightly  launched  1      2      due, taskCount → 2
    2027-01-01T01:59:30Z  orders   idle      61     0      no message → 0
    ");
    assert_eq!(decisions(&json!({"decisions": []})), "no decision yet\n");
}

#[test]
fn firings_of_all_jobs_are_a_table() {
    let answer = json!({"firings": [
        {"nominal": "2027-01-01T02:00:00Z", "job": "nightly", "state": "finished", "outcome": "failed", "started": 2,
         "requested": 2, "id": "f1"},
        {"nominal": "2027-01-01T01:59:30Z", "job": "orders", "state": "running", "started": 1, "requested": 3, "id": "f0"},
    ]});
    assert_snapshot!(firings(&answer), @r"
    TICK                  JOB      STATE    STARTED  FIRING
    2027-01-01T02:00:00Z  nightly  failed   2 of 2   f1
    2027-01-01T01:59:30Z  orders   running  1 of 3   f0
    ");
    assert_eq!(firings(&json!({"firings": []})), "no firing yet\n");
}

#[test]
fn budgets_are_a_table_with_a_line_for_each_limit() {
    let limit = |name: &str, used: u32| json!({"name": name, "limit": 10, "used": used, "left": 10 - used});
    let answer = json!({"budgets": [
        {"name": "all", "selector": {}, "limits": [limit("maxTasks", 10)],
         "waiting": {"jobs": 2, "since": "2027-01-01T02:00:00Z"}},
        {"name": "data", "selector": {"env": "prod", "team": "data"},
         "limits": [limit("maxTasks", 0), limit("launchesPerHour", 4)], "waiting": {"jobs": 0}},
    ]});
    let lines: Vec<String> =
        budgets(&answer).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "BUDGET SELECTOR LIMIT OF USED LIMIT LEFT WAITING JOBS SINCE",
            "all all jobs maxTasks 10 10 0 2 2027-01-01T02:00:00Z",
            "data env=prod team=data maxTasks 0 10 10 0 –",
            "data env=prod team=data launchesPerHour 4 10 6 0 –",
        ]
    );
    assert_eq!(budgets(&json!({"budgets": []})), "no budget is configured\n");
}

#[test]
fn calls_to_aws_are_shown_with_their_costs() {
    let answer = json!({
        "since": "2027-01-01T00:00:00Z",
        "operations": [{"service": "SQS", "operation": "GetQueueAttributes", "calls": 2880, "throttles": 0,
                        "failures": 1, "dollarsPerMonth": 0.0346}],
        "jobs": [{"job": "orders", "operation": "GetQueueAttributes", "reads": 2880, "dollarsPerMonth": 0.0346}],
    });
    assert_snapshot!(stats(&answer), @r"
    calls to AWS since 2027-01-01T00:00:00Z; costs by list prices, in US dollars
    SERVICE  OPERATION           CALLS  THROTTLED  FAILED  $ A MONTH
    SQS      GetQueueAttributes  2880   0          1       0.03

    JOB     OPERATION           READS  $ A MONTH
    orders  GetQueueAttributes  2880   0.03
    ");
    let none = json!({"since": "2027-01-01T00:00:00Z", "operations": [], "jobs": []});
    assert_eq!(stats(&none), "no call to AWS since 2027-01-01T00:00:00Z\n");
}

#[test]
fn replicas_are_shown_with_their_shards() {
    let answer = json!({"shared": true, "replicas": [
        {"id": "a", "address": "http://10.0.0.7:5000", "state": "live", "shards": [0, 1, 2], "here": true,
         "started": "2027-01-01T00:00:00Z", "lastSeen": "2027-01-01T02:00:00Z"},
        {"id": "b", "address": "http://10.0.0.8:5000", "state": "lost", "shards": [], "here": false,
         "started": "2027-01-01T00:00:00Z", "lastSeen": "2027-01-01T01:00:00Z"},
    ]});
    assert_snapshot!(replicas(&answer), @r"
    REPLICA  ADDRESS               STATE           SHARDS  STARTED               LAST SEEN
    a        http://10.0.0.7:5000  live, answered  0 1 2   2027-01-01T00:00:00Z  2027-01-01T02:00:00Z
    b        http://10.0.0.8:5000  lost            –       2027-01-01T00:00:00Z  2027-01-01T01:00:00Z
    ");
    assert!(replicas(&json!({"shared": false, "replicas": []})).starts_with("one scheduler"));
}
