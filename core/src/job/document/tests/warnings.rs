use super::*;

fn warnings(document: Value) -> Vec<String> {
    load(document).unwrap().warnings("2027-01-01T00:00:00Z".parse().unwrap())
}

#[test]
fn a_retry_that_comes_after_the_next_tick_gives_a_warning() {
    let of = |overlap: &str, backoff: &str| {
        let retry = json!({"task": {"attempts": 2, "backoff": backoff}});
        warnings(plus(json!({"schedule": "0", "overlap": overlap, "retry": retry})))
    };
    let warning = "retry.task.backoff 1m is not shorter than the 1m from 2027-01-01T00:01:00Z to the next tick, which ends the \
        retries";
    assert_eq!(of("topUp", "1m"), [warning]);
    assert_eq!(of("allow", "1m"), [""; 0], "ticks end no retries");
    assert_eq!(of("topUp", "59s"), [""; 0]);
}

#[test]
fn a_jitter_longer_than_the_time_between_ticks_gives_a_warning() {
    let of = |schedule: &str, jitter: &str| warnings(plus(json!({"schedule": schedule, "jitter": jitter})));
    let warnings_of_job = of("0", "5m");
    assert_eq!(
        warnings_of_job,
        [
            "jitter 5m is longer than the 1m from 2027-01-01T00:01:00Z to the next tick: the delay of a tick ends at the next \
             one at the latest"
        ]
    );
    // Two minutes past eight are close to each other, the rest of the day is not.
    assert_eq!(of("0 0,2 8", "3m").len(), 1);
    for fits in [("0", "1m"), ("0 0 8", "1h"), ("0 0,2 8", "2m"), ("at(2028-01-01T00:00:00)", "1h")] {
        assert_eq!(of(fits.0, fits.1), [""; 0], "{fits:?}");
    }
}

#[test]
fn warnings_include_the_schedule_of_the_trigger() {
    let provided = json!({"type": "gauge", "ticks": "cron(0 9 ? * 2-6 *)"});
    let own = warnings(plus(json!({"schedule": "0 0 8", "trigger": provided.clone()})));
    let alone = json!({"taskDefinition": "alpha", "trigger": provided});
    for warnings_of_job in [own, warnings(alone)] {
        assert_eq!(warnings_of_job.len(), 1);
        assert!(warnings_of_job[0].contains("`2-6` is Monday to Friday"), "{warnings_of_job:?}");
    }
    assert_eq!(
        warnings(plus(json!({"schedule": "0 30 6 mon-fri * 1-28"}))),
        [""; 0],
        "a note, not a mistake"
    );
}

#[test]
fn number_of_tasks_above_the_limit_gives_a_warning() {
    let of = |fields: Value| warnings(plus(fields));
    assert_eq!(of(json!({"taskCount": 4, "maxCount": 4, "onError": {"assume": 4, "after": 1}})), [""; 0]);
    assert_eq!(
        of(json!({"taskCount": 10, "maxCount": 4, "onError": {"assume": 5, "after": 1}})),
        [
            "taskCount 10 is greater than maxCount 4: at most 4 tasks of the job run at once",
            "onError.assume 5 is greater than maxCount 4: at most 4 tasks of the job run at once",
        ]
    );
    // Stored before the limit of the installation was lowered.
    assert_eq!(
        of(json!({"taskCount": 60, "maxCount": 70})),
        ["taskCount 60 is greater than ECSS_MAX_TASKS 50: at most 50 tasks of the job run at once"]
    );
}
