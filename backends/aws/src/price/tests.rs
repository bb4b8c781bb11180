use super::unit_price;

#[test]
fn a_million_sqs_requests_cost_forty_cents() {
    assert!((unit_price("SQS", "GetQueueAttributes") * 1e6 - 0.40).abs() < 1e-9);
}

#[test]
fn a_thousand_metrics_cost_a_cent_and_ecs_is_free() {
    assert!((unit_price("CloudWatch", "GetMetricData") * 1e3 - 0.01).abs() < 1e-9);
    assert!(unit_price("ECS", "RunTask").abs() < f64::EPSILON);
}

#[test]
fn a_million_writes_to_s3_cost_five_dollars_and_reads_forty_cents() {
    assert!((unit_price("S3", "PutObject") * 1e6 - 5.0).abs() < 1e-9);
    assert!((unit_price("S3", "ListObjectsV2") * 1e6 - 5.0).abs() < 1e-9);
    assert!((unit_price("S3", "GetObject") * 1e6 - 0.40).abs() < 1e-9);
    assert!(unit_price("S3", "DeleteObjects").abs() < f64::EPSILON);
}
