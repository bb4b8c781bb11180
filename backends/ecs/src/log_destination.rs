//! Where the containers of a task definition write their output.

use aws_sdk_ecs::types::ContainerDefinition;

#[cfg(test)]
mod tests;

/// The output of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerLog {
    pub(crate) container: String,
    pub(crate) destination: LogDestination,
}

/// The destination of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogDestination {
    /// CloudWatch Logs: the stream `prefix/container/id of the task` of a group.
    CloudWatch {
        group: String,
        prefix: String,
        /// The region; that of the task when absent.
        region: Option<String>,
    },
    /// Another place, or CloudWatch Logs under a name that nothing tells; holds the reason and where to look.
    Elsewhere(String),
}

impl ContainerLog {
    /// Reads the log configuration of a container.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html>
    pub(crate) fn from_sdk(container: &ContainerDefinition) -> Self {
        let name = container.name().unwrap_or_default().to_owned();
        let Some(log) = container.log_configuration() else {
            let text = "it has no logConfiguration; add one with the log driver awslogs and the options awslogs-group, \
                        awslogs-region and awslogs-stream-prefix";
            return Self { container: name, destination: LogDestination::Elsewhere(text.to_owned()) };
        };
        let option = |name: &str| {
            let value = log.options().and_then(|options| options.get(name));
            value.filter(|value| !value.is_empty()).cloned()
        };
        let elsewhere = |text: String| LogDestination::Elsewhere(text);
        let destination = match log.log_driver().as_str() {
            "awslogs" => match (option("awslogs-group"), option("awslogs-stream-prefix")) {
                (Some(group), Some(prefix)) => {
                    LogDestination::CloudWatch { group, prefix, region: option("awslogs-region") }
                }
                (Some(group), None) => elsewhere(format!(
                    "without the option awslogs-stream-prefix its log stream is named by the Docker id of the container, which \
                     ECS does not tell; add the option, or look in log group \"{group}\""
                )),
                (None, _) => elsewhere("its logConfiguration has no awslogs-group; add the option".to_owned()),
            },
            "awsfirelens" => elsewhere(
                "its log driver awsfirelens gives the output to the log router of the task; look where that sends it"
                    .to_owned(),
            ),
            driver => elsewhere(format!(
                "its log driver {driver} does not write to CloudWatch Logs; look where that driver keeps the output"
            )),
        };
        Self { container: name, destination }
    }
}
