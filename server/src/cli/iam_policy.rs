//! `ecs-scheduler iam-policy`: the minimal permissions for the selected jobs.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use ecs_scheduler_core::{Permission, TaskSpec};
use serde_json::{Value, json};

use super::flags::SettingFlags;
use super::job_selection::{JobSelection, JobSelectionArgs};
use super::offline_launcher;
use crate::config::Config;
use crate::error::CommandError;
use crate::server::ServerBuilder;
use crate::wiring;

#[cfg(test)]
mod tests;

/// The selection of jobs, and their account and region.
#[derive(Debug, Clone, Args)]
pub struct PolicyArgs {
    #[command(flatten)]
    jobs: JobSelectionArgs,
    /// AWS account number for the ARNs, in place of `*`
    #[arg(long, value_name = "NUMBER", value_parser = account)]
    account: Option<String>,
    /// AWS region for the ARNs, in place of `*`, and for the calls that the policy needs
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    #[command(flatten)]
    pub(super) settings: SettingFlags,
}

fn account(text: &str) -> Result<String, String> {
    let fine = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if fine { Ok(text.to_owned()) } else { Err("an account's number has 12 digits".to_owned()) }
}

/// Prints the policy.
///
/// # Errors
///
/// Fails when the jobs or their task definitions cannot be read, and when a job is not valid.
pub(crate) async fn run(
    args: &PolicyArgs,
    builder: &ServerBuilder,
    config: &Config,
) -> Result<String, CommandError> {
    if let Some(region) = &args.region {
        builder.plugin_context().default_to(region);
    }
    let launcher = offline_launcher::open_to_check(builder, config).await?;
    let mut found = JobSelection::load(&args.jobs, builder, config, &launcher).await?;
    if let Some(error) = found.open_error.take() {
        return Err(error);
    }
    if let Some((name, problems)) = found.invalid.first() {
        return Err(CommandError::failed(format!("{name} is not a valid job: {problems}")));
    }
    let tasks: Vec<TaskSpec> = found.jobs.iter().map(|job| TaskSpec::clone(&job.task)).collect();
    let launching = launcher.permissions(&tasks).await;
    let launching = launching
        .map_err(|error| CommandError::caused("could not determine the permissions for launching", error))?;
    let reading =
        found.jobs.iter().filter_map(|job| job.trigger.as_ref()).flat_map(|trigger| trigger.permissions());
    let storing = config.store.provider.permissions(&config.store.settings);
    let home = match &args.region {
        Some(region) => Some(region.clone()),
        None => builder.plugin_context().region().await,
    };
    let permissions = launching.into_iter().chain(reading).chain(storing).chain(config.notify.permissions());
    let permissions = permissions.map(|needed| args.fill(needed, home.as_deref()));
    Ok(format!("{:#}\n", policy(permissions)))
}

impl PolicyArgs {
    /// Fills in the region and the account of incomplete ARNs, also in conditions, and the partition of the region, or
    /// of the home region if an ARN names none.
    fn fill(&self, mut permission: Permission, home: Option<&str>) -> Permission {
        permission.resource = self.fill_arn(&permission.resource, home);
        for value in permission.conditions.values_mut().flat_map(BTreeMap::values_mut) {
            *value = self.fill_arn(value, home);
        }
        permission
    }

    fn fill_arn(&self, arn: &str, home: Option<&str>) -> String {
        let mut parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, partition, _, region, account, _] = parts.as_mut_slice() else { return arn.to_owned() };
        if let Some(given) = self.region.as_deref().filter(|_| *region == "*") {
            *region = given;
        }
        if let Some(given) = self.account.as_deref().filter(|_| *account == "*") {
            *account = given;
        }
        let known = Some(*region).filter(|region| !matches!(*region, "*" | "")).or(home);
        if let Some(known) = known.filter(|_| *partition == "aws") {
            *partition = wiring::partition(known);
        }
        parts.join(":")
    }
}

type Conditions = BTreeMap<String, BTreeMap<String, String>>;

/// Makes an IAM policy: actions on the same resources under the same conditions share a statement.
fn policy(permissions: impl IntoIterator<Item = Permission>) -> Value {
    let mut resources: BTreeMap<(Conditions, String), BTreeSet<String>> = BTreeMap::new();
    for Permission { action, resource, conditions, .. } in permissions {
        resources.entry((conditions, action)).or_default().insert(resource);
    }
    let mut statements: BTreeMap<(Conditions, BTreeSet<String>), BTreeSet<String>> = BTreeMap::new();
    for ((conditions, action), resources) in resources {
        statements.entry((conditions, resources)).or_default().insert(action);
    }
    let statement = |((conditions, resources), actions): (_, BTreeSet<String>)| {
        let conditions: Conditions = conditions;
        let resources: BTreeSet<String> = resources;
        let mut statement = json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
        if !conditions.is_empty() {
            statement["Condition"] = json!(conditions);
        }
        statement
    };
    json!({ "Version": "2012-10-17", "Statement": statements.into_iter().map(statement).collect::<Vec<_>>() })
}
