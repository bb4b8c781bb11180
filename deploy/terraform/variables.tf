variable "name" {
  description = "What the scheduler is called: ECSS_NAME, and the name of everything made here."
  type        = string
  default     = "ecs-scheduler"
}

variable "image" {
  description = "The image made from the Dockerfile, as the cluster can pull it."
  type        = string
}

variable "cluster_arn" {
  description = "The ECS cluster that the scheduler runs on and starts tasks on."
  type        = string
}

variable "vpc_id" {
  description = "The network of the scheduler."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets that reach the AWS APIs, by NAT or by VPC endpoints."
  type        = list(string)
}

variable "client_security_group_ids" {
  description = "Who may use the API, which means: who may start tasks."
  type        = list(string)
  default     = []
}

variable "allowed_hosts" {
  description = "Names by which clients, proxies and Prometheus reach the scheduler, beside its IP address."
  type        = list(string)
  default     = []
}

variable "policy_json" {
  description = "What the scheduler may do, as `ecs-scheduler iam-policy` prints it for your jobs."
  type        = string
}

variable "log_retention_days" {
  description = "How long the log is kept."
  type        = number
  default     = 30
}
