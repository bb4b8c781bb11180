use super::*;

/// A launcher without tasks and options, whose launches are denied.
#[derive(Debug)]
pub(crate) struct DenyingLauncher;

#[async_trait]
impl Launcher for DenyingLauncher {
    fn limits(&self) -> LaunchLimits {
        LaunchLimits {
            per_call: NonZeroU32::MIN,
            per_observation: 1,
            observe_every: Duration::from_secs(1),
            token_life: Duration::from_secs(1),
        }
    }

    async fn population(&self, _: &JobId, _: &TaskSpec) -> Result<Population, LaunchError> {
        Ok(Population::default())
    }

    async fn launch(&self, _: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        Err(LaunchError::new(FaultKind::Denied, "launches are denied"))
    }

    async fn observe(&self, _: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
        Ok(ObservedTasks::default())
    }

    async fn stop(&self, _: &TaskId, _: &str) -> Result<(), LaunchError> {
        Ok(())
    }
}

impl TaskValidation for DenyingLauncher {}

impl LaunchDiagnosis for DenyingLauncher {}

impl LaunchRecovery for DenyingLauncher {}

impl TaskLogs for DenyingLauncher {}
