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
use crate::sites::{self, Site};

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

    fn build(&self, config: SqsConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let queue = Address::of(&config)?;
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
        self.queue.permissions()
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let depth = sites::depth(&self.sites, &self.queue, cx.tick).await?;
        self.sites.aws().meter().used(cx.job, "GetQueueAttributes");
        Ok(self.rule.conclude(&depth, &self.queue.name, cx.tick.observed))
    }
}
