use super::dollars;

#[test]
fn a_million_sqs_requests_cost_forty_cents() {
    assert!((dollars("SQS", "GetQueueAttributes") * 1e6 - 0.40).abs() < 1e-9);
}

#[test]
fn a_thousand_metrics_cost_a_cent_and_ecs_is_free() {
    assert!((dollars("CloudWatch", "GetMetricData") * 1e3 - 0.01).abs() < 1e-9);
    assert!(dollars("ECS", "RunTask").abs() < f64::EPSILON);
}
