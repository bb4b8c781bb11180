use super::*;

#[test]
fn backfill_is_described_with_its_progress_and_what_it_waits_for() {
    let answer = json!({
        "job": "report", "from": "2026-01-01T00:00:00Z", "to": "2026-01-08T00:00:00Z", "state": "running", "total": 7,
        "started": "2026-02-01T10:00:00Z", "actor": "ada", "reason": "lost input",
        "done": {"succeeded": 2, "failed": 1, "stopped": 0, "notLaunched": 0, "idle": 0, "unknown": 0},
        "unfinished": [{"tick": "2026-01-04T00:00:00Z", "firing": "f4"}], "nextTick": "2026-01-05T00:00:00Z",
        "waiting": {"outcome": "suspended", "reason": "suspended: lunch", "since": "2026-02-01T12:00:00Z"},
        "lastFailure": {"tick": "2026-01-02T00:00:00Z", "firing": "f2", "reason": "refused: no capacity"},
    });
    let expected = "backfill of report from 2026-01-01T00:00:00Z to 2026-01-08T00:00:00Z: running, 3 of 7 ticks done \
                    (1 failed, 2 succeeded)\n\
                    started 2026-02-01T10:00:00Z by ada: lost input\n\
                    unfinished: tick 2026-01-04T00:00:00Z, firing f4\n\
                    next tick: 2026-01-05T00:00:00Z\n\
                    waiting since 2026-02-01T12:00:00Z: suspended: lunch\n\
                    last failure: tick 2026-01-02T00:00:00Z, firing f2: refused: no capacity\n";
    let text = describe(&answer);
    // The order of members of an object depends on how the program is built.
    assert_eq!(text.replace("2 succeeded, 1 failed", "1 failed, 2 succeeded"), expected);
}

#[test]
fn dry_run_lists_the_ticks_and_why_the_backfill_would_wait() {
    let answer = json!({
        "job": "report", "total": 1, "tasks": 2, "waiting": "the brake is on: incident",
        "ticks": [{"tick": "2026-01-01T00:00:00Z", "outcome": "launched", "tasks": 2, "explanation": "due → 2"}],
    });
    let text = preview(&answer);
    for part in [
        "2026-01-01T00:00:00Z",
        "due → 2",
        "1 ticks, 2 tasks; nothing was started",
        "would wait now: the brake is on",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
