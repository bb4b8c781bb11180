//! The `sqs` trigger.

use std::sync::Arc;

use ecs_scheduler_backend_aws::{AwsContext, RegionalClients};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, Permission, Trigger, TriggerError, TriggerType,
    async_trait,
};

use crate::SqsConfig;
use crate::address::QueueAddress;
use crate::demand::DemandRule;
use crate::regional_batchers::{self, QueueBatchers};

/// The kind `sqs`. All triggers that it builds share their readings.
#[derive(Debug, Clone)]
pub struct Sqs {
    batchers: Arc<RegionalClients<QueueBatchers>>,
}

impl Sqs {
    /// Makes the kind. No call is made before the first evaluation.
    #[must_use]
    pub fn new(aws: AwsContext) -> Self {
        Self { batchers: Arc::new(RegionalClients::new(aws)) }
    }
}

impl TriggerType for Sqs {
    const KIND: &'static str = "sqs";
    const SUMMARY: &'static str = "fires when an SQS queue holds messages, with as many tasks as they need";
    type Config = SqsConfig;

    fn build(&self, config: SqsConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let queue = QueueAddress::from_config(&config)?;
        if queue.name.ends_with(".fifo") {
            cx.warn_against_queue_modes(format!(
                "queue \"{}\" is a FIFO queue: only one task at a time finds messages of a message group, so \
                 oneShot and drain may start tasks that find nothing; set maxCount to the number of groups to \
                 process at once",
                queue.name
            ));
        }
        Ok(Arc::new(SqsTrigger {
            queue,
            rule: DemandRule::from_config(&config),
            batchers: Arc::clone(&self.batchers),
        }))
    }
}

#[derive(Debug)]
struct SqsTrigger {
    queue: QueueAddress,
    rule: DemandRule,
    batchers: Arc<RegionalClients<QueueBatchers>>,
}

#[async_trait]
impl Trigger for SqsTrigger {
    fn reports_queue_depth(&self) -> bool {
        true
    }

    fn permissions(&self) -> Vec<Permission> {
        let role = self.batchers.aws().role_for(&self.queue.scope);
        let assume = role.map(|role| Permission::new("sts:AssumeRole", role));
        self.queue.permissions().into_iter().chain(assume).collect()
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let depth = regional_batchers::depth(&self.batchers, &self.queue, cx.tick).await?;
        self.batchers.aws().meter().record_use(cx.job, "GetQueueAttributes");
        Ok(self.rule.evaluate(&depth, &self.queue.name, cx.tick.observed))
    }
}
