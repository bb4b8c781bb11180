//! The trigger itself.

use std::sync::Arc;

use ecs_scheduler_backend_aws::{Aws, Sites};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, Permission, Trigger, TriggerError, TriggerType,
    async_trait,
};

use crate::SqsConfig;
use crate::address::Address;
use crate::demand::Rule;
use crate::regional_batchers::{self, Site};

/// The kind `sqs`. All triggers that it builds share their readings.
#[derive(Debug, Clone)]
pub struct Sqs {
    sites: Arc<Sites<Site>>,
}

impl Sqs {
    /// Makes the kind. Nothing is read and nothing is called before the first evaluation.
    #[must_use]
    pub fn new(aws: Aws) -> Self {
        Self { sites: Arc::new(Sites::new(aws)) }
    }
}

impl TriggerType for Sqs {
    const KIND: &'static str = "sqs";
    const SUMMARY: &'static str = "fires when an SQS queue holds messages, with as many tasks as they need";
    type Config = SqsConfig;

    fn build(&self, config: SqsConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let queue = Address::of(&config)?;
        if queue.name.ends_with(".fifo") {
            cx.warn_against_queue_modes(format!(
                "queue \"{}\" is a FIFO queue: only one task at a time finds messages of a message group, so oneShot and drain \
                 may start tasks that find nothing; set maxCount to the number of groups that may be worked on at once",
                queue.name
            ));
        }
        Ok(Arc::new(SqsTrigger { queue, rule: Rule::of(&config), sites: Arc::clone(&self.sites) }))
    }
}

#[derive(Debug)]
struct SqsTrigger {
    queue: Address,
    rule: Rule,
    sites: Arc<Sites<Site>>,
}

#[async_trait]
impl Trigger for SqsTrigger {
    fn counts_queue(&self) -> bool {
        true
    }

    fn permissions(&self) -> Vec<Permission> {
        let role = self.sites.aws().role_for(&self.queue.place);
        let assume = role.map(|role| Permission::new("sts:AssumeRole", role));
        self.queue.permissions().into_iter().chain(assume).collect()
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let depth = regional_batchers::depth(&self.sites, &self.queue, cx.tick).await?;
        self.sites.aws().meter().used(cx.job, "GetQueueAttributes");
        Ok(self.rule.conclude(&depth, &self.queue.name, cx.tick.observed))
    }
}
