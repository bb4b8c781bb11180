use ecs_scheduler_core::Timestamp;
use insta::assert_snapshot;
use serde_json::json;

use super::{changed, created, decision, decisions, firings, jobs, preview};

fn noon() -> Timestamp {
    "2027-01-01T12:00:00Z".parse().unwrap()
}

#[test]
fn jobs_are_a_table() {
    let answer = json!({"jobs": [
        {"id": "nightly", "schedule": "0 0 2", "taskCount": 1, "lastRun": "2027-01-01T02:00:00+00:00",
         "estimatedNextRun": "2027-01-02T02:00:00+00:00"},
        {"id": "orders", "schedule": "*/10", "trigger": {"type": "sqs"}, "taskCount": 1, "maxCount": 10,
         "suspended": true},
        {"id": "paused", "schedule": "0 0 2", "taskCount": 1, "suspended": true,
         "suspension": {"until": "2027-01-01T12:00:01+00:00"}, "estimatedNextRun": "2027-01-02T02:00:00+00:00"},
        {"id": "resumed", "schedule": "0 0 2", "taskCount": 1, "suspended": true,
         "suspension": {"until": "2027-01-01T12:00:00+00:00"}, "estimatedNextRun": "2027-01-02T02:00:00+00:00"},
        {"id": "stuck", "schedule": "0 0 2", "taskCount": 1, "state": "late"},
    ]});
    assert_snapshot!(jobs(&answer, false, None, noon()), @r"
    JOB      SCHEDULE  TRIGGER  TASKS  STATE      LAST RUN                   NEXT RUN
    nightly  0 0 2     –        1…–    ok         2027-01-01T02:00:00+00:00  2027-01-02T02:00:00+00:00
    orders   */10      sqs      1…10   suspended  –                          suspended
    paused   0 0 2     –        1…–    suspended  –                          suspended
    resumed  0 0 2     –        1…–    ok         –                          2027-01-02T02:00:00+00:00
    stuck    0 0 2     –        1…–    late       –                          –
    ");
    assert!(jobs(&json!({"jobs": []}), false, None, noon()).starts_with("no jobs; "));
    assert_eq!(jobs(&json!({"jobs": []}), true, Some("late"), noon()), "no jobs in state late\n");
}

#[test]
fn decision_shows_its_steps_and_observations() {
    let answer = json!({"decisions": [{
        "nominal": "2027-01-01T02:00:00Z", "outcome": "launched", "launch": 6,
        "ticks": 1, "explanation": "12, at most 10, less 4",
        "steps": [
            {"rule": "demand", "before": 0, "after": 12, "because": "1150 messages ÷ 100 per task"},
            {"rule": "cap", "before": 12, "after": 10, "because": "at most maxCount 10"},
        ],
        "observations": [
            {"name": "depth", "subject": "orders", "value": 1150.0, "unit": "messages"},
            {"name": "Backlog", "subject": "Shop", "value": 820.5, "unit": "none"},
        ],
    }]});
    assert_snapshot!(decisions(&answer), @r"
    2027-01-01T02:00:00Z  launched, 6 to launch
      12, at most 10, less 4
      RULE    TASKS    BECAUSE
      demand  0 → 12   1150 messages ÷ 100 per task
      cap     12 → 10  at most maxCount 10
      saw depth of orders: 1150 messages
      saw Backlog of Shop: 820.5
    ");
}

#[test]
fn firings_count_how_their_tasks_ended() {
    let answer = json!({"firings": [{
        "id": "0193f0", "nominal": "2027-01-01T02:00:00Z", "state": "finished", "requested": 3, "started": 3,
        "tasks": [{"state": "stopped", "exitCode": 0}, {"state": "stopped", "exitCode": 1},
                  {"state": "stopped", "exitCode": 0}],
    }, {
        "id": "0193f1", "nominal": "2027-01-01T03:00:00Z", "state": "refused", "requested": 1, "started": 0,
        "note": "could not run task: denied; allow ecs:RunTask",
    }, {
        "id": "0193f2", "job": "nightly", "nominal": "2027-01-01T04:00:00Z", "state": "finished", "outcome": "failed", "requested": 1,
        "started": 1, "tasks": [{"state": "stopped", "outcome": "failed", "exitCode": 137, "reason": "exited",
            "diagnosis": {"code": "killed", "text": "killed (137)", "remedy": "raise the memory"}}],
    }, {
        "id": "0193f3", "nominal": "2027-01-01T04:00:00Z", "state": "finished", "outcome": "failed", "requested": 1,
        "started": 1, "tasks": [{"state": "stopped", "outcome": "failed", "exitCode": 1, "reason": "exited"}],
        "retry": {"of": "0193f2", "number": 1, "note": "all 1 retries have failed"},
    }, {
        "id": "0193f4", "nominal": "2026-01-01T04:00:00Z", "state": "finished", "outcome": "succeeded", "requested": 1,
        "started": 1, "origin": "backfill", "tasks": [{"state": "stopped", "outcome": "succeeded", "exitCode": 0}],
    }]});
    assert_snapshot!(firings(&answer), @r"
    TICK                  STATE      STARTED  TASKS               FIRING  REASON
    2027-01-01T02:00:00Z  finished   3 of 3   2 × exit 0, exit 1  0193f0
    2027-01-01T03:00:00Z  refused    0 of 1                       0193f1  could not run task: denied; allow ecs:RunTask
    2027-01-01T04:00:00Z  failed     1 of 1   exit 137            0193f2  killed (137): raise the memory
    2027-01-01T04:00:00Z  failed     1 of 1   exit 1              0193f3  retry 1; exited; not started again: all 1 retries have failed
    2026-01-01T04:00:00Z  succeeded  1 of 1   exit 0              0193f4  backfill
    output of the newest failed task: ecs-scheduler jobs logs nightly --firing 0193f2
    ");
}

#[test]
fn a_preview_ends_with_its_warnings() {
    let answer = json!({"description": "every second, UTC", "next": ["a", "b"], "warnings": ["often"]});
    assert_eq!(preview(&answer), "every second, UTC\n  a\n  b\nwarning: often\n");
    assert_eq!(preview(&json!({"next": []})), "  no further tick\n");
}

#[test]
fn run_of_equal_ticks_shows_its_start() {
    let answer = json!({
        "nominal": "2027-01-01T02:00:00Z", "since": "2027-01-01T01:00:00Z", "ticks": 61, "outcome": "idle",
        "explanation": "the window is closed → 0",
    });
    assert_eq!(
        decision(&answer),
        "2027-01-01T02:00:00Z  idle, 61 ticks since 2027-01-01T01:00:00Z\n  the window is closed → 0\n"
    );
}

#[test]
fn created_and_changed_jobs_are_shown_with_their_warnings() {
    let plain = json!({"id": "mine"});
    assert_eq!(
        (created(&plain), changed(&plain)),
        ("created mine\n".to_owned(), "changed mine\n".to_owned())
    );
    let odd = json!({"id": "mine", "warnings": ["one", "two"]});
    assert_eq!(created(&odd), "created mine\nwarning: one\nwarning: two\n");
    assert_eq!(changed(&odd), "changed mine\nwarning: one\nwarning: two\n");
}

#[test]
fn explain_shows_a_fault_that_concerns_no_tick() {
    let answer = json!({
        "failing": {"outcome": "live_unknown", "reason": "a task cannot be stopped: denied", "ticks": 0,
            "since": "2027-01-01T01:00:00Z"},
        "decisions": [],
    });
    let expected =
        "failing: live_unknown since 2027-01-01T01:00:00Z\n  reason: a task cannot be stopped: denied\n";
    assert_eq!(decisions(&answer), expected);
}

#[test]
fn explain_shows_the_reason_of_a_failed_launch() {
    let answer = json!({
        "failing": {"outcome": "launch_failed", "reason": "denied; allow ecs:RunTask", "ticks": 7,
            "since": "2027-01-01T01:00:00Z"},
        "decisions": [{"nominal": "2027-01-01T02:00:00Z", "outcome": "launch_failed", "launch": 1, "ticks": 1,
            "explanation": "due, taskCount → 1", "note": "denied; allow ecs:RunTask"}],
    });
    assert_snapshot!(decisions(&answer), @r"
    failing: launch_failed at 7 ticks in a row since 2027-01-01T01:00:00Z
      reason: denied; allow ecs:RunTask

    2027-01-01T02:00:00Z  launch_failed, 1 to launch
      due, taskCount → 1
      reason: denied; allow ecs:RunTask
    ");
}

#[test]
fn explain_shows_an_open_breaker_and_what_comes_next() {
    let mut state = json!({"state": "open", "since": "2027-01-01T01:00:00Z", "failures": 6, "canaries": 1,
        "nextCanary": "2027-01-01T01:09:00Z", "reason": "the image does not exist: push it"});
    let shown = |state: &serde_json::Value| decisions(&json!({"breakerState": state, "decisions": []}));
    assert_snapshot!(shown(&state), @r"
    breaker open since 2027-01-01T01:00:00Z: 6 start failures in a row, failed canaries: 1; the next canary starts at a tick from 2027-01-01T01:09:00Z on
      reason: the image does not exist: push it
    ");
    state["canary"] = json!("f7");
    assert!(shown(&state).contains("the canary is firing f7"));
    let closed = json!({"state": "closed", "failures": 1, "canaries": 0});
    assert_eq!(shown(&closed), "no decision yet\n");
    let listed =
        json!({"jobs": [{"id": "a", "state": "failing", "breakerState": state, "failingTasks": {}}]});
    assert!(jobs(&listed, false, None, noon()).contains("breaker open"));
}

#[test]
fn ticks_that_are_settled_in_the_future_are_explained() {
    let shown = decisions(&json!({"settledUntil": "2036-01-01T01:00:00Z", "decisions": []}));
    assert!(
        shown.starts_with("ticks up to 2036-01-01T01:00:00Z have an outcome, because the clock was ahead"),
        "{shown}"
    );
    assert!(shown.contains("`ecs-scheduler jobs resume`"), "{shown}");
}

#[test]
fn explain_says_what_became_of_each_launch() {
    let diagnosis = json!({"code": "outOfMemory", "text": "too little memory", "remedy": "raise it"});
    let answer = json!({
        "failingTasks": {"firings": 2, "since": "2027-01-01T01:00:00Z", "firing": "f2", "diagnosis": diagnosis},
        "decisions": [
            {"nominal": "2027-01-01T02:00:00Z", "outcome": "launched", "launch": 2, "explanation": "due → 2", "firing": "f2"},
            {"nominal": "2027-01-01T01:00:00Z", "outcome": "launched", "launch": 1, "explanation": "due → 1", "firing": "f1"},
        ],
        "firings": [{"id": "f2", "job": "nightly", "tasks": [
            {"state": "stopped", "outcome": "succeeded", "exitCode": 0},
            {"state": "stopped", "outcome": "failed", "exitCode": 137, "diagnosis": diagnosis},
        ]}, {"id": "f1", "job": "nightly", "tasks": [{"state": "running"}]}],
    });
    assert_snapshot!(decisions(&answer), @r"
    tasks fail: 2 firings in a row since 2027-01-01T01:00:00Z
      reason: too little memory: raise it

    2027-01-01T02:00:00Z  launched, 2 to launch
      due → 2
      tasks: succeeded, failed
      reason: too little memory: raise it
      output: ecs-scheduler jobs logs nightly --firing f2 --task 2

    2027-01-01T01:00:00Z  launched, 1 to launch
      due → 1
      tasks: running
    ");
}

#[test]
fn output_is_named_only_for_a_failed_task_that_ran() {
    let shown = |task: serde_json::Value| {
        firings(
            &json!({"firings": [{"id": "f1", "job": "nightly", "requested": 1, "started": 1, "tasks": [task]}]}),
        )
    };
    assert!(
        shown(json!({"state": "stopped", "outcome": "failed", "exitCode": 1}))
            .contains("jobs logs nightly --firing f1\n")
    );
    for task in [
        json!({"state": "stopped", "outcome": "failed", "stopCode": "TaskFailedToStart"}),
        json!({"state": "stopped", "outcome": "succeeded", "exitCode": 0}),
        json!({"state": "stopped", "outcome": "stopped", "exitCode": 143}),
        json!({"state": "running"}),
    ] {
        assert!(!shown(task.clone()).contains("jobs logs"), "{task}");
    }
}
