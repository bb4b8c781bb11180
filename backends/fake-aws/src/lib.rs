//! A strict fake of ECS, SQS and CloudWatch over HTTP, for the tests of ECS Scheduler.
