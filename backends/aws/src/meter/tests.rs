use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::Metadata;
use ecs_scheduler_core::{Clock, JobId, Timestamp};
use ecs_scheduler_testing::SimClock;

use super::{CallEvent, Meter};

fn meter() -> (Arc<SimClock>, Meter) {
    let clock = Arc::new(SimClock::at(Timestamp::UNIX_EPOCH));
    let meter = Meter::new(Arc::clone(&clock) as Arc<dyn Clock>);
    (clock, meter)
}

#[tokio::test(start_paused = true)]
async fn monthly_cost_is_estimated_from_billed_units() {
    let (_clock, meter) = meter();
    for _ in 0..10 {
        meter.record_call(&Metadata::new("GetQueueAttributes", "SQS"), CallEvent::Call);
    }
    meter.record_call(&Metadata::new("GetMetricData", "CloudWatch"), CallEvent::Call);
    meter.record_units("GetMetricData", 500);
    tokio::time::advance(Duration::from_secs(3600)).await;
    let report = meter.report();
    let dollars: Vec<_> = report
        .operations
        .iter()
        .map(|all| (all.operation.as_str(), all.calls, all.dollars_per_month))
        .collect();
    let [("GetMetricData", 1, metrics), ("GetQueueAttributes", 10, queues)] = dollars[..] else {
        panic!("{dollars:?}")
    };
    assert!((metrics - 500.0 * 720.0 * 0.00001).abs() < 1e-6, "{metrics}");
    assert!((queues - 10.0 * 720.0 * 0.0000004).abs() < 1e-9, "{queues}");
}

#[tokio::test(start_paused = true)]
async fn jobs_share_cost_by_their_readings() {
    let (_clock, meter) = meter();
    meter.record_call(&Metadata::new("GetQueueAttributes", "SQS"), CallEvent::Call);
    let (one, two) = (JobId::new("one").unwrap(), JobId::new("two").unwrap());
    for _ in 0..3 {
        meter.record_use(&one, "GetQueueAttributes");
    }
    meter.record_use(&two, "GetQueueAttributes");
    tokio::time::advance(Duration::from_secs(3600)).await;
    let report = meter.report();
    let whole = report.operations[0].dollars_per_month;
    assert_eq!(report.jobs.iter().map(|job| job.reads).collect::<Vec<_>>(), [3, 1]);
    assert!((report.jobs[0].dollars_per_month - whole * 0.75).abs() < 1e-9);
    assert!((report.jobs[1].dollars_per_month - whole * 0.25).abs() < 1e-9);
}

#[test]
fn throttled_and_failed_attempts_are_counted_separately() {
    let (_clock, meter) = meter();
    let run = Metadata::new("RunTask", "ECS");
    for sent in [CallEvent::Call, CallEvent::Throttled, CallEvent::Call, CallEvent::Failed, CallEvent::Call] {
        meter.record_call(&run, sent);
    }
    let report = meter.report();
    let all = &report.operations[0];
    assert_eq!((all.calls, all.throttles, all.failures), (3, 1, 1));
    assert_eq!((all.service.as_str(), all.operation.as_str()), ("ECS", "RunTask"));
}
