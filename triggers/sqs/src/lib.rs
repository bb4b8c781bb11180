//! The SQS trigger of ECS Scheduler: tasks by the depth of a queue.
