use super::*;
use crate::id::TaskId;
use crate::task::TaskPhase;

fn ended(exit_code: Option<i32>, stop_code: &str, reason: &str) -> TaskState {
    let mut task = TaskState::new(TaskId::new("task"), None, TaskPhase::Stopped);
    task.exit_code = exit_code;
    task.stop_code = Some(stop_code.to_owned());
    task.reason = Some(reason.to_owned());
    task
}

fn retry(rules: Vec<RetryRule>) -> TaskRetry {
    TaskRetry { attempts: NonZeroU32::MIN, backoff: TaskRetry::DEFAULT_BACKOFF, rules }
}

fn rule(condition: RetryCondition, action: RetryAction) -> RetryRule {
    RetryRule { condition, action }
}

#[test]
fn failed_tasks_are_retried_and_succeeded_or_stopped_ones_are_not() {
    let tasks = [
        ended(Some(1), "EssentialContainerExited", ""),
        ended(None, "TaskFailedToStart", "CannotPullContainerError"),
        ended(Some(0), "EssentialContainerExited", ""),
        ended(Some(137), "UserInitiated", "timeout of 3 s exceeded"),
        TaskState::pending(TaskId::new("pending"), None),
    ];
    assert_eq!(retry(Vec::new()).count_retried(&tasks), 2);
}

#[test]
fn first_matching_rule_decides() {
    let rules = vec![
        rule(RetryCondition::ExitCode(3), RetryAction::Fail),
        rule(RetryCondition::StopCode("SpotInterruption".to_owned()), RetryAction::Retry),
        rule(RetryCondition::Reason("out of MEMORY".to_owned()), RetryAction::Retry),
        rule(RetryCondition::Reason(String::new()), RetryAction::Fail),
    ];
    let retry = retry(rules);
    let count = |task: TaskState| retry.count_retried(&[task]);
    assert_eq!(count(ended(Some(3), "SpotInterruption", "")), 0);
    assert_eq!(count(ended(Some(4), "SpotInterruption", "")), 1);
    assert_eq!(count(ended(Some(4), "EssentialContainerExited", "OutOfMemoryError: Out of memory")), 1);
    assert_eq!(count(ended(Some(4), "EssentialContainerExited", "")), 0);
}

#[test]
fn delay_doubles_up_to_an_hour() {
    let retry = retry(Vec::new());
    let seconds = [1, 2, 3, 9, 10, 40, u32::MAX].map(|number| retry.delay(number).as_secs());
    assert_eq!(seconds, [10, 20, 40, 2_560, 3_600, 3_600, 3_600]);
    assert_eq!(TaskRetry { backoff: Duration::ZERO, ..retry }.delay(5), Duration::ZERO);
}
