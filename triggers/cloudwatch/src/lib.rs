//! The CloudWatch trigger of ECS Scheduler: tasks by metrics and thresholds.
