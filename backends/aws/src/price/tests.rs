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

#[test]
fn a_million_writes_to_s3_cost_five_dollars_and_reads_forty_cents() {
    assert!((dollars("S3", "PutObject") * 1e6 - 5.0).abs() < 1e-9);
    assert!((dollars("S3", "ListObjectsV2") * 1e6 - 5.0).abs() < 1e-9);
    assert!((dollars("S3", "GetObject") * 1e6 - 0.40).abs() < 1e-9);
    assert!(dollars("S3", "DeleteObjects").abs() < f64::EPSILON);
}
