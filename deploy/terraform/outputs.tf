output "task_role_arn" {
  description = "The role that the scheduler acts as."
  value       = aws_iam_role.scheduler.arn
}

output "security_group_id" {
  description = "The security group of the scheduler."
  value       = aws_security_group.scheduler.id
}

output "events_queue_url" {
  description = "The queue of task-state events, for ECSS_ECS_EVENTS_QUEUE."
  value       = aws_sqs_queue.events.id
}
