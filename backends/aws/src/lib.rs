//! What the AWS crates of ECS Scheduler share: SDK configuration, fault mapping, call meter, pacing.
