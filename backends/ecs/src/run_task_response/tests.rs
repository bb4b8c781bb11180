use aws_sdk_ecs::operation::run_task::RunTaskOutput;
use aws_sdk_ecs::types::{Failure, Task};

use super::{is_retryable, report_from_output};

#[test]
fn capacity_and_agent_refusals_are_retryable() {
    for reason in
        ["RESOURCE:MEMORY", "RESOURCE:CPU", "RESOURCE:ENI", "AGENT", "Capacity is unavailable at this time"]
    {
        assert!(is_retryable(reason), "{reason}");
    }
    for reason in ["MISSING", "INACTIVE", "LOCATION", "ATTRIBUTE"] {
        assert!(!is_retryable(reason), "{reason}");
    }
}

#[test]
fn partial_success_is_a_report() {
    let output = RunTaskOutput::builder()
        .tasks(Task::builder().task_arn("arn:1").container_instance_arn("arn:host").build())
        .failures(Failure::builder().reason("RESOURCE:MEMORY").arn("arn:host2").detail("small").build())
        .failures(Failure::builder().reason("ATTRIBUTE").build())
        .build();
    let report = report_from_output(&output, 3);
    assert_eq!(report.started[0].host_id.as_deref(), Some("arn:host"));
    let reported: Vec<_> = report
        .refused
        .iter()
        .map(|refusal| (refusal.reason.as_str(), refusal.detail.as_deref(), refusal.retryable))
        .collect();
    assert_eq!(reported, [("RESOURCE:MEMORY", Some("small; arn:host2"), true), ("ATTRIBUTE", None, false)]);
}

#[test]
fn one_refusal_is_kept_for_each_task_that_was_not_started() {
    let instances =
        (0..300).map(|number| Failure::builder().reason("RESOURCE:CPU").arn(format!("arn:{number}")).build());
    let output = instances.fold(RunTaskOutput::builder(), |output, failure| output.failures(failure)).build();
    let report = report_from_output(&output, 2);
    assert_eq!(report.refused.len(), 2, "a cluster of 300 instances");
}

#[test]
fn a_reason_that_may_pass_is_kept_wherever_ecs_names_it() {
    let named = |reason: &str| Failure::builder().reason(reason).arn("arn:host").build();
    let mut output = RunTaskOutput::builder();
    for _ in 0..300 {
        output = output.failures(named("ATTRIBUTE"));
    }
    let report = report_from_output(&output.failures(named("RESOURCE:CPU")).build(), 1);
    let refused: Vec<_> = report.refused.iter().map(|one| (one.reason.as_str(), one.retryable)).collect();
    assert_eq!(refused, [("RESOURCE:CPU", true)]);
}
