//! Checks of the events queue for `ecs-scheduler doctor`: whether task events can reach it.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::CheckResult;
use ecs_scheduler_core::fault::chain;
use serde_json::Value;

use crate::context::LauncherContext;
use crate::event_health::EVENT_TIMEOUT;
use crate::events::{MAX_BATCH, REMEDY, client, fault, parse_event, url};
use crate::queue_policy::EventAccess;

/// A redrive policy with fewer receives than this: a check that receives messages could move them to the dead-letter queue.
const MIN_RECEIVES: u64 = 5;
/// The key of AWS that encrypts a queue, which no other service may use.
const AWS_KEY: &str = "alias/aws/sqs";

/// Checks the queue without taking a message out of it.
pub(crate) async fn check(shared: &LauncherContext, queue: &str) -> CheckResult {
    let what = format!("task events of queue \"{queue}\"");
    match check_queue(shared, queue).await {
        Ok(Ok(found)) => CheckResult::passed(format!("{what}: {found}")),
        Ok(Err(problem)) => CheckResult::failed(what, problem),
        Err(fault) => CheckResult::failed(what, chain(&fault)),
    }
}

/// Returns the finding, or the problem: a message of another kind, or a queue to which nothing may send events.
async fn check_queue(shared: &LauncherContext, queue: &str) -> Result<Result<String, String>, Fault> {
    let client = client(shared).await?;
    let url = url(&client, queue).await?;
    let attributes = attributes(&client, &url).await;
    let attribute =
        |name: QueueAttributeName| attributes.as_ref().and_then(|all| all.get(&name)).map(String::as_str);
    let redrive: Value = attribute(QueueAttributeName::RedrivePolicy)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    // The number is a string in policies that the console wrote.
    let receives = &redrive["maxReceiveCount"];
    let receives = receives.as_u64().or_else(|| receives.as_str()?.parse().ok());
    if receives.is_none_or(|receives| receives >= MIN_RECEIVES) {
        let receive =
            client.receive_message().queue_url(&url).max_number_of_messages(MAX_BATCH).visibility_timeout(0);
        let answer = receive.wait_time_seconds(0).send().await;
        let answer = answer.map_err(|error| fault(error, "receive", queue))?;
        for message in answer.messages() {
            if let Err(shape) = parse_event(message.body().unwrap_or_default()) {
                return Ok(Err(format!("a message is not a task state change but {shape}; {REMEDY}")));
            }
        }
        if !answer.messages().is_empty() {
            return Ok(Ok("there are events in it".to_owned()));
        }
    }
    if attributes.is_none() {
        let text = "it can be read. This command cannot tell whether events can reach it: allow sqs:GetQueueAttributes to it, and \
                    see whether a rule sends them";
        return Ok(Ok(format!("{text}: {}. {}", by_hand("ARN"), fallback())));
    }
    let policy = attribute(QueueAttributeName::Policy).unwrap_or_default();
    let arn = attribute(QueueAttributeName::QueueArn);
    if attribute(QueueAttributeName::KmsMasterKeyId) == Some(AWS_KEY) {
        return Ok(Err(format!(
            "EventBridge cannot send to a queue that is encrypted with {AWS_KEY}: use the encryption of SQS (SSE-SQS), or a key \
             of your own that allows events.amazonaws.com kms:GenerateDataKey and kms:Decrypt"
        )));
    }
    Ok(match EventAccess::by_policy(policy, arn) {
        EventAccess::Allowed(rules) => Ok(unproven(arn.unwrap_or("ARN"), &rules)),
        EventAccess::Denied => Err("a statement of its policy denies sqs:SendMessage to everybody: remove it".to_owned()),
        EventAccess::NotAllowed => Err(
            "its policy allows neither EventBridge nor SNS to send messages: add a rule for \"ECS Task State Change\", and \
             allow sqs:SendMessage to events.amazonaws.com with the rule as aws:SourceArn (deploy/terraform has both)"
                .to_owned(),
        ),
    })
}

/// Returns the attributes of the queue; none if they cannot be read. The scheduler itself needs no permission to read them.
async fn attributes(client: &Client, url: &str) -> Option<HashMap<QueueAttributeName, String>> {
    let call = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    call.send().await.ok().map(|answer| answer.attributes.unwrap_or_default())
}

/// Describes a queue to which events may come.
fn unproven(arn: &str, rules: &[String]) -> String {
    // A rule that reaches the queue by a topic has the topic as its target.
    let topic = rules.iter().find(|source| source.split(':').nth(2) == Some("sns"));
    let target = topic.map_or(arn, String::as_str);
    let rules = match rules {
        [] => String::new(),
        rules => format!(" of {}", rules.join(" or ")),
    };
    format!(
        "its policy allows events{rules}. This command cannot tell whether a rule sends them: {}. {}",
        by_hand(target),
        fallback()
    )
}

/// Names the commands that show the rules of a queue.
fn by_hand(arn: &str) -> String {
    format!(
        "`aws events list-rule-names-by-target --target-arn {arn}` lists it, and `aws events describe-rule --name RULE` shows \
         its state and its pattern, which must match \"ECS Task State Change\""
    )
}

fn fallback() -> String {
    format!(
        "If no event follows a launch or stop within {} s, the scheduler describes its tasks as without a queue",
        EVENT_TIMEOUT.as_secs()
    )
}
