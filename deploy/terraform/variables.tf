variable "name" {
  description = "Name of the scheduler: ECSS_NAME, and the name of all resources of this module."
  type        = string
  default     = "ecs-scheduler"
}

variable "image" {
  description = "Image of the Dockerfile, at an address from which the cluster can pull it."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster on which the scheduler runs and starts tasks."
  type        = string
}

variable "vpc_id" {
  description = "ID of the scheduler's VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets that reach the AWS APIs, by NAT or by VPC endpoints."
  type        = list(string)
}

variable "client_security_group_ids" {
  description = "Security groups of the clients of the API. Every client can start tasks."
  type        = list(string)
  default     = []
}

variable "allowed_hosts" {
  description = "Host names under which clients, proxies and Prometheus reach the scheduler, in addition to its IP address."
  type        = list(string)
  default     = []
}

variable "policy_json" {
  description = "IAM policy of the scheduler, as printed by `ecs-scheduler iam-policy` for your jobs."
  type        = string
}

variable "log_retention_days" {
  description = "Retention of the log in days."
  type        = number
  default     = 30
}
