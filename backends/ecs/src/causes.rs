//! The known causes of failed tasks and refused launches: texts of ECS, each with a diagnosis.

use ecs_scheduler_core::Diagnosis;

#[cfg(test)]
mod tests;

/// A cause, and the texts of ECS that name it.
struct CauseTexts {
    /// Lower-case patterns, of which one must match. `*` stands for any text between two parts, and `^` for the beginning.
    patterns: &'static [&'static str],
    diagnosis: Diagnosis,
}

const fn cause(
    code: &'static str,
    patterns: &'static [&'static str],
    text: &'static str,
    remedy: &'static str,
    link: &'static str,
) -> CauseTexts {
    CauseTexts { patterns, diagnosis: Diagnosis::new(code, text, remedy, Some(link)) }
}

const PULL: &str = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html";
const STOPPED: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html";
const REFUSED: &str =
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html";

/// The first match counts: a special cause stands before a general one.
///
/// The fixture `tests/fixtures/causes.json` has a text of ECS for each cause.
const CAUSES: &[CauseTexts] = &[
    // The image.
    cause(
        "pullRateLimit",
        &["toomanyrequests", "429 too many requests", "pull rate limit"],
        "the registry refused the pull because there were too many",
        "log in to the registry, or copy the image to a registry of your own (ECR, or its pull-through cache)",
        PULL,
    ),
    cause(
        "wrongArchitecture",
        &["exec format error", "descriptor matching platform", "no matching manifest for"],
        "the image or its program is built for another processor architecture",
        "build the image for the task's runtimePlatform, or set cpuArchitecture in the task definition",
        PULL,
    ),
    cause(
        "secretUnreadable",
        &["unable to retrieve secret", "fetching secret data", "retrieving secret", "invalid ssm parameters"],
        "a secret or parameter could not be read",
        "check its ARN, what the execution role may read (also the KMS key), and the way to Secrets Manager or SSM",
        STOPPED,
    ),
    cause(
        "registryUnreachable",
        &[
            "cannotpull*timeout",
            "cannotpull*deadline exceeded",
            "cannotpull*dial tcp",
            "cannotpull*request canceled",
            "cannotpull*connection",
            "registry auth*connection",
            "registry auth*deadline exceeded",
            "registry auth*dial tcp",
            "registry auth*request canceled",
        ],
        "the registry could not be reached",
        "give the subnet a way to the registry (public IP, NAT gateway, or VPC endpoints for ECR and S3), and allow port 443",
        PULL,
    ),
    cause(
        "registryCredentials",
        &[
            "pull access denied",
            "no basic auth credentials",
            "cannotpull*401 unauthorized",
            "cannotpull*403 forbidden",
            "cannotpull*not authorized",
            "cannotpull*accessdenied",
            "registry auth*not authorized",
            "registry auth*accessdenied",
        ],
        "the registry refused access to the image, or has no such repository",
        "check the image's name, what the execution role may read from ECR, and repositoryCredentials of a private registry",
        PULL,
    ),
    cause(
        "imageNotFound",
        &[
            "cannotpull*not found",
            "cannotpull*manifest unknown",
            "cannotpull*name unknown",
            "cannotpull*does not exist",
        ],
        "the registry does not have this image",
        "check the image's name, tag or digest, and the region and account of its registry",
        PULL,
    ),
    cause(
        "diskFull",
        &["no space left on device"],
        "the disk of the task or its host is full",
        "raise ephemeralStorage, use a smaller image, or clean up the host",
        STOPPED,
    ),
    cause(
        "imageNotPulled",
        &["cannotpull", "unable to retrieve ecr registry auth"],
        "the image could not be pulled",
        "check its name and tag, the execution role, and the way to the registry (public IP, NAT or endpoints)",
        PULL,
    ),
    // The environment of the task.
    cause(
        "environmentFile",
        &["env file", "environment file"],
        "an environment file could not be read",
        "check its ARN, and that the execution role may call s3:GetObject and s3:GetBucketLocation",
        STOPPED,
    ),
    cause(
        "secretUnreadable",
        &["unable to pull secrets"],
        "a secret or the login of the registry could not be read",
        "check ARNs, what the execution role may read, and the way to Secrets Manager, SSM and ECR",
        STOPPED,
    ),
    cause(
        "roleNotAssumable",
        &["unable to assume the role", "unable to assume role", "unable to assume the service linked role"],
        "the role of the task cannot be assumed",
        "check that the role exists, and that it trusts ecs-tasks.amazonaws.com",
        STOPPED,
    ),
    cause(
        "logGroupMissing",
        &["log group does not exist"],
        "the log group does not exist",
        "create it, or set awslogs-create-group to true and allow logs:CreateLogGroup to the execution role",
        STOPPED,
    ),
    cause(
        "logDriver",
        &["failed to validate logger args", "failed to initialize logging driver", "cloudwatch log stream"],
        "the log driver could not be set up",
        "check the log options, what the execution role may write, and the way to CloudWatch Logs",
        STOPPED,
    ),
    cause(
        "efsMount",
        &["efs utils", "efs volume", "mount.nfs4", "elastic file system"],
        "an EFS volume could not be mounted",
        "check the file system's id, its mount target in the task's zone, port 2049 in its security group, and the IAM policy",
        STOPPED,
    ),
    cause(
        "ebsVolume",
        &["ebs volume", "amazon ebs"],
        "an EBS volume could not be created or attached",
        "check the role of volumeConfigurations, the quotas of EBS, and the snapshot",
        STOPPED,
    ),
    cause(
        "volumeNotCreated",
        &["cannotcreatevolume"],
        "a volume could not be created",
        "check the volumes of the task definition, and their driver on the host",
        STOPPED,
    ),
    cause(
        "addressesExhausted",
        &["insufficientfreeaddresses", "not enough free addresses", "insufficient free address"],
        "the subnet has no free IP address",
        "add subnets to launch.network.subnets, or use larger ones",
        STOPPED,
    ),
    cause(
        "networkInterfaceLimit",
        &["resource:eni"],
        "no instance has a free network interface",
        "add instances, use larger ones, or turn on ENI trunking (awsvpcTrunking)",
        REFUSED,
    ),
    cause(
        "networkInterface",
        &["network interface"],
        "the network interface of the task could not be set up",
        "check subnets, security groups and the quota of network interfaces; a launch at another moment may succeed",
        STOPPED,
    ),
    // Capacity.
    cause(
        "taskQuota",
        &["limit on the number of", "vcpu limit", "concurrently running tasks"],
        "the account's quota of tasks or vCPUs is used up",
        "ask for a higher quota in Service Quotas, or lower the number of tasks (maxCount)",
        REFUSED,
    ),
    cause(
        "fargateCapacity",
        &["capacity is unavailable"],
        "Fargate has no capacity in these subnets at the moment",
        "add capacityFallback, or subnets in more zones",
        REFUSED,
    ),
    cause(
        "provisioningLimit",
        &["provisioning capacity limit exceeded"],
        "too many tasks of the cluster wait for capacity",
        "check that the capacity provider adds instances, and raise its maximum",
        REFUSED,
    ),
    cause(
        "noInstances",
        &["no container instances were found"],
        "the cluster has no instance for this task",
        "add instances to the cluster, check their agents, or use Fargate",
        REFUSED,
    ),
    cause(
        "instanceCapacity",
        &["resource:"],
        "no instance has room for the task",
        "add instances, or ask for less CPU, memory, ports or GPUs",
        REFUSED,
    ),
    cause(
        "instanceAttributes",
        &["^attribute", "missing an attribute required by your task"],
        "no instance has an attribute that the task needs",
        "compare requiresAttributes of the task definition and placementConstraints with the instances",
        REFUSED,
    ),
    cause(
        "agentDisconnected",
        &["^agent", "agent disconnected", "agent is not connected"],
        "the ECS agent of the instance is not connected",
        "restart the agent, and check the instance's role and its way to ECS",
        REFUSED,
    ),
    cause(
        "definitionInactive",
        &["^inactive", "taskdefinition is inactive", "task definition is inactive"],
        "the task definition is inactive",
        "register a new revision, or name an active one in the job",
        REFUSED,
    ),
    cause(
        "notFound",
        &["^missing"],
        "the task definition or the instance does not exist",
        "check the names in the job, and the region and account of the cluster",
        REFUSED,
    ),
    // The host.
    cause(
        "spotInterruption",
        &["spotinterruption", "spot task was interrupted"],
        "AWS took the Spot capacity back",
        "run the work again; use FARGATE or on-demand instances for work that must not be interrupted",
        STOPPED,
    ),
    cause(
        "hostTerminated",
        &["terminationnotice", "host ec2*terminated", "host ec2*stopped", "host ec2*deregistered"],
        "the host of the task was stopped or terminated",
        "run the work again; turn on managed draining or scale-in protection of the capacity provider",
        STOPPED,
    ),
    cause(
        "hostLost",
        &["infrastructurehealth", "infrastructure issue"],
        "the host of the task became unhealthy",
        "run the work again; the fault is of AWS or of the instance",
        STOPPED,
    ),
    // The program.
    cause(
        "outOfMemory",
        &["outofmemory"],
        "the container used more memory than it may",
        "raise the memory of the container or the task, or give the program less to do at once",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/out-of-memory.html",
    ),
    cause(
        "healthCheck",
        &["health check"],
        "the container failed its health check",
        "check healthCheck of the task definition: command, startPeriod and retries",
        STOPPED,
    ),
    cause(
        "runtimeTimeout",
        &["dockertimeouterror", "containerruntimetimeouterror"],
        "the container did not start or stop in the time of the container runtime",
        "look for a host without resources, or a slow network or volume; raise startTimeout of the container",
        STOPPED,
    ),
    cause(
        "commandNotFound",
        &["cannotstart*executable file not found", "cannotstart*no such file or directory"],
        "the image does not have the command",
        "check command and entryPoint of the task definition and of the job's overrides",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html",
    ),
    cause(
        "notExecutable",
        &["cannotstart*permission denied"],
        "the command may not be executed",
        "check the file's permissions in the image, and the container's user",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html",
    ),
    cause(
        "containerNotStarted",
        &["cannotstartcontainer"],
        "a container could not start",
        "check its command, entry point, volumes and user",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html",
    ),
    cause(
        "containerNotCreated",
        &["cannotcreatecontainer"],
        "a container could not be created",
        "check volumes, links and the disk of the instance",
        STOPPED,
    ),
    cause(
        "containerNotInspected",
        &["cannotinspectcontainer"],
        "the container runtime did not describe a container",
        "look for a host without memory or disk, and restart its container runtime",
        "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-inspect-container.html",
    ),
    cause(
        "resourceInitialization",
        &["resourceinitializationerror"],
        "the environment of the task could not be set up",
        "check network, roles, secrets and log group",
        STOPPED,
    ),
];

/// Returns the diagnosis of texts of ECS: a stop code or a reason, followed by details.
pub(crate) fn diagnose(text: &str) -> Option<Diagnosis> {
    let text = text.to_lowercase();
    let known = CAUSES.iter().find(|cause| cause.patterns.iter().any(|pattern| matches(pattern, &text)))?;
    Some(known.diagnosis.clone())
}

fn matches(pattern: &str, text: &str) -> bool {
    if let Some(beginning) = pattern.strip_prefix('^') {
        return text.starts_with(beginning);
    }
    let mut rest = text;
    pattern.split('*').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}
