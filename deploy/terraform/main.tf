data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  data_folder = "/var/lib/ecs-scheduler"
  user        = 10001
}

resource "aws_cloudwatch_log_group" "scheduler" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
}

# --- who it is -------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "scheduler" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "jobs"
  role   = aws_iam_role.scheduler.id
  policy = var.policy_json
}

data "aws_iam_policy_document" "events" {
  statement {
    actions   = ["sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:DeleteMessage"]
    resources = [aws_sqs_queue.events.arn]
  }
}

resource "aws_iam_role_policy" "events" {
  name   = "events"
  role   = aws_iam_role.scheduler.id
  policy = data.aws_iam_policy_document.events.json
}

data "aws_iam_policy_document" "files" {
  statement {
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [aws_efs_file_system.data.arn]
  }
}

resource "aws_iam_role_policy" "files" {
  name   = "files"
  role   = aws_iam_role.scheduler.id
  policy = data.aws_iam_policy_document.files.json
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

# --- who reaches it --------------------------------------------------------------------------------------------------

resource "aws_security_group" "scheduler" {
  name        = var.name
  description = "The API of ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = toset(var.client_security_group_ids)

  security_group_id            = aws_security_group.scheduler.id
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5000
  to_port                      = 5000
}

resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.scheduler.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_security_group" "files" {
  name        = "${var.name}-files"
  description = "The file system of ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "files" {
  security_group_id            = aws_security_group.files.id
  referenced_security_group_id = aws_security_group.scheduler.id
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
}

# --- what it keeps ---------------------------------------------------------------------------------------------------

resource "aws_efs_file_system" "data" {
  encrypted = true

  tags = {
    Name = var.name
  }
}

resource "aws_efs_backup_policy" "data" {
  file_system_id = aws_efs_file_system.data.id

  backup_policy {
    status = "ENABLED"
  }
}

resource "aws_efs_mount_target" "data" {
  for_each = toset(var.subnet_ids)

  file_system_id  = aws_efs_file_system.data.id
  subnet_id       = each.value
  security_groups = [aws_security_group.files.id]
}

resource "aws_efs_access_point" "data" {
  file_system_id = aws_efs_file_system.data.id

  posix_user {
    uid = local.user
    gid = local.user
  }

  root_directory {
    path = "/ecs-scheduler"

    creation_info {
      owner_uid   = local.user
      owner_gid   = local.user
      permissions = "0700"
    }
  }
}

# --- how it hears of its tasks ---------------------------------------------------------------------------------------

resource "aws_sqs_queue" "events" {
  name                      = "${var.name}-events"
  message_retention_seconds = 86400
  sqs_managed_sse_enabled   = true
}

data "aws_iam_policy_document" "send_events" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.events.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.tasks.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id
  policy    = data.aws_iam_policy_document.send_events.json
}

resource "aws_cloudwatch_event_rule" "tasks" {
  name        = "${var.name}-tasks"
  description = "Task states of tasks that ${var.name} started"

  event_pattern = jsonencode({
    source        = ["aws.ecs"]
    "detail-type" = ["ECS Task State Change"]
    detail = {
      clusterArn = [var.cluster_arn]
      startedBy  = [{ prefix = "${var.name}/" }]
    }
  })
}

resource "aws_cloudwatch_event_target" "tasks" {
  rule = aws_cloudwatch_event_rule.tasks.name
  arn  = aws_sqs_queue.events.arn
}

# --- the scheduler ---------------------------------------------------------------------------------------------------

resource "aws_ecs_task_definition" "scheduler" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  task_role_arn            = aws_iam_role.scheduler.arn
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([{
    name                   = "ecs-scheduler"
    image                  = var.image
    essential              = true
    readonlyRootFilesystem = true
    user                   = tostring(local.user)
    stopTimeout            = 30
    portMappings           = [{ containerPort = 5000, protocol = "tcp" }]

    environment = [
      { name = "ECSS_NAME", value = var.name },
      { name = "ECSS_ECS_CLUSTER", value = var.cluster_arn },
      { name = "ECSS_ECS_EVENTS_QUEUE", value = aws_sqs_queue.events.id },
      { name = "ECSS_SQLITE_FILE", value = "${local.data_folder}/scheduler.db" },
      { name = "ECSS_ALLOWED_HOSTS", value = join(",", var.allowed_hosts) },
    ]

    mountPoints = [{ sourceVolume = "data", containerPath = local.data_folder }]

    healthCheck = {
      command     = ["CMD", "ecs-scheduler", "health"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 10
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.scheduler.name
        "awslogs-region"        = data.aws_region.current.name
        "awslogs-stream-prefix" = "scheduler"
      }
    }
  }])

  volume {
    name = "data"

    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.data.id
      transit_encryption = "ENABLED"

      authorization_config {
        access_point_id = aws_efs_access_point.data.id
        iam             = "ENABLED"
      }
    }
  }
}

resource "aws_ecs_service" "scheduler" {
  name            = var.name
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.scheduler.arn
  launch_type     = "FARGATE"
  desired_count   = 1

  # One SQLite file, one scheduler: the old one ends before the new one begins.
  deployment_maximum_percent         = 100
  deployment_minimum_healthy_percent = 0

  network_configuration {
    subnets         = var.subnet_ids
    security_groups = [aws_security_group.scheduler.id]
  }

  depends_on = [aws_efs_mount_target.data]
}
