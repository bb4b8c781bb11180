//! The trigger itself.

use std::sync::Arc;

use ecs_scheduler_backend_aws::{Aws, Sites};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, Permission, Trigger, TriggerError, TriggerType,
    async_trait,
};

use crate::CloudWatchConfig;
use crate::explain;
use crate::query_plan::Plan;
use crate::regional_batchers::{self, Gathering};
use crate::source::OPERATION;
use crate::window::Window;

/// The kind `cloudwatch`. All triggers that it builds share their readings.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    sites: Arc<Sites<Gathering>>,
}

impl CloudWatch {
    /// Makes the kind. Nothing is read and nothing is called before the first evaluation.
    #[must_use]
    pub fn new(aws: Aws) -> Self {
        Self { sites: Arc::new(Sites::new(aws)) }
    }
}

impl TriggerType for CloudWatch {
    const KIND: &'static str = "cloudwatch";
    const SUMMARY: &'static str =
        "fires when a CloudWatch metric, or an expression over several, crosses a threshold";
    type Config = CloudWatchConfig;

    fn build(&self, config: CloudWatchConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let plan = Plan::of(&config)?;
        Ok(Arc::new(CloudWatchTrigger { plan, sites: Arc::clone(&self.sites) }))
    }
}

#[derive(Debug)]
struct CloudWatchTrigger {
    plan: Plan,
    sites: Arc<Sites<Gathering>>,
}

#[async_trait]
impl Trigger for CloudWatchTrigger {
    /// CloudWatch has no finer permission: `GetMetricData` is allowed for all metrics or for none.
    fn permissions(&self) -> Vec<Permission> {
        let read = Permission::new(format!("cloudwatch:{OPERATION}"), "*");
        let role = self.sites.aws().role_for(&self.plan.place);
        let assume = role.map(|role| Permission::new("sts:AssumeRole", role));
        std::iter::once(read).chain(assume).collect()
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let Plan { query, period, delay, rule, .. } = &self.plan;
        let window = Window::before(cx.tick.observed, *delay, *period, rule.periods);
        let points = regional_batchers::points(&self.sites, &self.plan, window, cx.tick).await?;
        self.sites.aws().meter().used(cx.job, OPERATION);
        let verdict = rule.judge(&points, window.end, *period);
        explain::conclude(rule, &verdict, query, *period, cx.tick.observed)
    }
}
