//! The `cloudwatch` trigger.

use std::sync::Arc;

use ecs_scheduler_backend_aws::{AwsContext, RegionalClients};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, Permission, Trigger, TriggerError, TriggerType,
    async_trait,
};

use crate::CloudWatchConfig;
use crate::explain;
use crate::query_plan::QueryPlan;
use crate::regional_batchers::{self, MetricBatchers};
use crate::source::OPERATION;
use crate::window::ReadWindow;

/// The kind `cloudwatch`. All triggers that it builds share their readings.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    batchers: Arc<RegionalClients<MetricBatchers>>,
}

impl CloudWatch {
    /// Makes the kind. No call is made before the first evaluation.
    #[must_use]
    pub fn new(aws: AwsContext) -> Self {
        Self { batchers: Arc::new(RegionalClients::new(aws)) }
    }
}

impl TriggerType for CloudWatch {
    const KIND: &'static str = "cloudwatch";
    const SUMMARY: &'static str =
        "fires when a CloudWatch metric, or an expression over several, crosses a threshold";
    type Config = CloudWatchConfig;

    fn build(&self, config: CloudWatchConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let plan = QueryPlan::from_config(&config)?;
        Ok(Arc::new(CloudWatchTrigger { plan, batchers: Arc::clone(&self.batchers) }))
    }
}

#[derive(Debug)]
struct CloudWatchTrigger {
    plan: QueryPlan,
    batchers: Arc<RegionalClients<MetricBatchers>>,
}

#[async_trait]
impl Trigger for CloudWatchTrigger {
    /// CloudWatch has no finer permission: `GetMetricData` is allowed for all metrics or for none.
    fn permissions(&self) -> Vec<Permission> {
        let read = Permission::new(format!("cloudwatch:{OPERATION}"), "*");
        let role = self.batchers.aws().role_for(&self.plan.scope);
        let assume = role.map(|role| Permission::new("sts:AssumeRole", role));
        std::iter::once(read).chain(assume).collect()
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let QueryPlan { query, period, delay, rule, .. } = &self.plan;
        let window = ReadWindow::before(cx.tick.observed, *delay, *period, rule.periods);
        let points = regional_batchers::points(&self.batchers, &self.plan, window, cx.tick).await?;
        self.batchers.aws().meter().record_use(cx.job, OPERATION);
        let state = rule.evaluate_alarm(&points, window.end, *period);
        explain::to_evaluation(rule, &state, query, *period, cx.tick.observed)
    }
}
