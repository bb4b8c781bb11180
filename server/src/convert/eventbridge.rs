//! EventBridge's schedules and rules, as the AWS CLI prints them.
//!
//! The import reads the output of `aws scheduler get-schedule` and `list-schedules`, `aws events list-rules`, `describe-rule` and
//! `list-targets-by-rule`, one or more documents per file, and documents that have several of these members. The last command does not
//! print the name of its rule: the name of the file is the name of the rule (`nightly.json`), unless there is only one rule, or the
//! document names one.
//!
//! | EventBridge | here |
//! |---|---|
//! | `ScheduleExpression`, `ScheduleExpressionTimezone` | `schedule`, `timezone` |
//! | `StartDate`, `EndDate`; for `rate(…)` else `CreationDate` | `scheduleStart`, `scheduleEnd` |
//! | `State` | `suspended` |
//! | `FlexibleTimeWindow` | `jitter` |
//! | `RetryPolicy.MaximumEventAgeInSeconds` | `retry.launch.maxAge` |
//! | the target's cluster and `EcsParameters` | `taskDefinition`, `taskCount`, `launch` |
//! | `Input` | `overrides`, `launch.overrides` |
//!
//! EventBridge does not consider running tasks, so the job has `overlap: allow`.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html>,
//! <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_EcsParameters.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Rule.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html>,
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html>

mod target;

use std::collections::BTreeMap;

use ecs_scheduler_core::Timestamp;
use serde_json::{Value, json};

use super::converted::{Converted, JobDraft, Remark, Remarks, job_id};
use super::fields::{Fields, UNKNOWN_FIELD};
use crate::json::parse_many;

const NOT_ECS: &str = "the target does not start ECS tasks";

/// A file: its name without the extension, and its text.
#[derive(Debug, Clone)]
pub struct CliOutput {
    /// The name.
    pub stem: String,
    /// The output of the CLI.
    pub text: String,
}

/// Converts the content of the files. A file that is not JSON is listed.
#[must_use]
pub fn convert(files: &[CliOutput]) -> Vec<Converted> {
    let mut found = ParsedFiles::default();
    for file in files {
        for document in parse_many(&file.text) {
            match document {
                Ok(document) => found.add(document, &file.stem),
                Err(error) => {
                    let why = if error.is_data() {
                        format!("{error}; nothing from there on is read")
                    } else {
                        format!("not JSON: {error}; print it with `--output json`")
                    };
                    found.others.push(Converted::unreadable(&file.stem, why));
                }
            }
        }
    }
    found.jobs()
}

/// The parsed content of the files.
#[derive(Debug, Default)]
struct ParsedFiles {
    schedules: Vec<Value>,
    /// Schedules that were listed without their targets.
    listed: Vec<Value>,
    rules: BTreeMap<String, Value>,
    /// Remarks about rules that two documents describe differently, by the name of the rule.
    repeated: BTreeMap<String, Vec<Remark>>,
    targets: Vec<(Owner, Vec<Value>)>,
    others: Vec<Converted>,
}

/// The rule of a list of targets.
#[derive(Debug)]
enum Owner {
    /// The document names it.
    Rule(String),
    /// Nothing names it; this is the name of the file.
    File(String),
}

impl ParsedFiles {
    fn add(&mut self, document: Value, stem: &str) {
        if let Value::Array(documents) = document {
            return documents.into_iter().for_each(|document| self.add(document, stem));
        }
        if document["NextToken"].is_string() {
            let text = "the list is incomplete: print it without `--max-items` and `--no-paginate`";
            self.others.push(refused_object(format!("document in {stem}"), "NextToken", text));
        }
        let is_rule = document["Arn"].as_str().is_some_and(|arn| arn.contains(":rule/"));
        if is_rule {
            return self.add_rule(document);
        }
        if document.get("Target").is_some() {
            return self.schedules.push(document);
        }
        let mut fields = Fields::root(document.clone());
        let mut rules = fields.list("Rules");
        let has_targets = document["Targets"].is_array();
        let named = match fields.map("Rule") {
            rule if rule.is_empty() => has_targets.then(|| fields.text("Rule")).flatten(),
            rule => {
                let name = rule.get("Name").and_then(Value::as_str).map(str::to_owned);
                rules.push(rule.into());
                name
            }
        };
        let only = match rules.as_slice() {
            [rule] => rule["Name"].as_str().map(str::to_owned),
            _ => None,
        };
        let (targets, listed) = (fields.list("Targets"), fields.list("Schedules"));
        if has_targets {
            let owner = named.or(only).map_or_else(|| Owner::File(stem.to_owned()), Owner::Rule);
            self.targets.push((owner, targets));
        }
        rules.into_iter().for_each(|rule| self.add_rule(rule));
        self.listed.extend(listed);
        let is_known =
            ["Schedules", "Rules", "Rule", "Targets"].iter().any(|name| document.get(name).is_some());
        if is_known {
            fields.ignore(&["NextToken", "ResponseMetadata"]);
            let mut remarks = Remarks::default();
            fields.report_unread(UNKNOWN_FIELD, &mut remarks);
            if !remarks.0.is_empty() {
                let source = format!("document in {stem}");
                self.others.push(Converted { source, job: None, remarks: remarks.0 });
            }
        } else {
            let template =
                ["AWSTemplateFormatVersion", "Resources"].iter().any(|name| document.get(name).is_some());
            let text =
                if template { TEMPLATE } else { "neither a schedule, nor rules, nor targets of a rule" };
            self.others.push(refused_object(format!("document in {stem}"), "", text));
        }
    }

    fn add_rule(&mut self, mut rule: Value) {
        let name = rule["Name"].as_str().unwrap_or_default().to_owned();
        if let Some(Value::Array(targets)) =
            rule.get_mut("Targets").filter(|targets| targets.is_array()).map(Value::take)
        {
            self.targets.push((Owner::Rule(name.clone()), targets));
        }
        match self.rules.get(&name) {
            Some(other) if other["Arn"] != rule["Arn"] => {
                let text = "two event buses have a rule of this name: import one bus at a time";
                self.others.push(refused_object(format!("rule {name}"), "Name", text));
            }
            Some(other) => self.repeated.entry(name.clone()).or_default().extend(differences(other, &rule)),
            None => {}
        }
        self.rules.insert(name, rule);
    }

    fn jobs(self) -> Vec<Converted> {
        let Self { schedules, listed, mut rules, mut repeated, targets, others } = self;
        let known: Vec<Value> = schedules.iter().map(|schedule| schedule["Arn"].clone()).collect();
        let mut converted: Vec<Converted> = schedules.into_iter().map(schedule).collect();
        for entry in listed.into_iter().filter(|entry| !known.contains(&entry["Arn"])) {
            let name = entry["Name"].as_str().unwrap_or_default();
            let group = entry["GroupName"].as_str().unwrap_or("default");
            let text = format!(
                "the list does not contain the target; add the output of `aws scheduler get-schedule --group-name {group} --name {name}`"
            );
            converted.push(refused_object(format!("schedule {group}/{name}"), "Target", &text));
        }
        let only = if rules.len() == 1 { rules.keys().next().cloned() } else { None };
        let listed_rules: Vec<String> = rules.keys().cloned().collect();
        for (owner, targets) in targets {
            let (name, source, why) = match owner {
                Owner::Rule(rule) | Owner::File(rule) if listed_rules.contains(&rule) => (
                    Some(rule.clone()),
                    format!("targets of rule {rule}"),
                    "another document has targets of this rule, which are read".to_owned(),
                ),
                Owner::Rule(rule) => {
                    let why = format!(
                        "rule \"{rule}\" of these targets is not in the files; add the output of `aws events describe-rule --name {rule}`"
                    );
                    (None, format!("targets of rule {rule}"), why)
                }
                Owner::File(stem) => {
                    let why = "the rule of these targets is unknown; give the file the name of the rule, and add the output of `aws events list-rules`";
                    (only.clone(), format!("targets in {stem}"), why.to_owned())
                }
            };
            match name.and_then(|name| Some((rules.remove(&name)?, name))) {
                Some((rule, name)) => {
                    let remarks = repeated.remove(&name).unwrap_or_default();
                    converted.extend(rule_jobs(&name, &rule, targets).into_iter().map(|mut one| {
                        one.remarks.extend_from_slice(&remarks);
                        one
                    }));
                }
                None => converted.push(refused_object(source, "Targets", &why)),
            }
        }
        for (name, rule) in rules {
            let text = if rule["ScheduleExpression"].is_string() {
                format!(
                    "the targets are missing; add the output of `aws events list-targets-by-rule --rule {name}` as {name}.json"
                )
            } else {
                EVENTS.to_owned()
            };
            converted.push(refused_object(format!("rule {name}"), "Targets", &text));
        }
        converted.extend(others);
        converted
    }
}

/// Remarks on the fields that two documents of one rule give differently.
fn differences(first: &Value, last: &Value) -> Vec<Remark> {
    let mut remarks = Remarks::default();
    for (field, value) in first.as_object().into_iter().flatten().filter(|(field, _)| *field != "Targets") {
        if let Some(other) = last.get(field).filter(|other| *other != value) {
            let text =
                format!("{value} in one document of the rule and {other} in a later one, which is read");
            remarks.changed(field.as_str(), text);
        }
    }
    remarks.0
}

const TEMPLATE: &str = "a CloudFormation template: deploy it, and import the output of `aws scheduler get-schedule`, `aws events \
                        list-rules` and `aws events list-targets-by-rule`";
const EVENTS: &str = "the rule fires on events, not on a schedule";

fn refused_object(source: String, field: &str, text: &str) -> Converted {
    let mut remarks = Remarks::default();
    remarks.refuse(field, text);
    Converted::new(source, JobDraft::default(), remarks)
}

/// Converts the output of `get-schedule`.
fn schedule(document: Value) -> Converted {
    let mut fields = Fields::root(document);
    let name = fields.text("Name").unwrap_or_default();
    let group = fields.text("GroupName").unwrap_or_else(|| "default".to_owned());
    let (mut draft, mut remarks) = (JobDraft::default(), Remarks::default());
    set_common_fields(&mut draft, &name, fields.text("Description"), fields.text("State"), &mut remarks);
    if group != "default" {
        draft.set("labels", json!({ "eventbridge/group": group }));
    }
    let expression = fields.text("ScheduleExpression").unwrap_or_default();
    let created = fields.take("CreationDate").filter(|_| is_rate(&expression));
    let start = fields.take("StartDate").or(created);
    if start.is_none() && is_rate(&expression) {
        remarks.changed("ScheduleExpression", from_1970(&expression, "schedule"));
    }
    draft.set("schedule", expression);
    draft.set_some("timezone", fields.text("ScheduleExpressionTimezone"));
    draft.set_some("scheduleStart", start.as_ref().map(moment));
    draft.set_some("scheduleEnd", fields.take("EndDate").as_ref().map(moment));
    let mut window = fields.object("FlexibleTimeWindow");
    if window.text("Mode").is_some_and(|mode| mode != "OFF") {
        let minutes = window.count("MaximumWindowInMinutes", &mut remarks).unwrap_or(1);
        draft.set("jitter", format!("{minutes}m"));
    }
    window.ignore(&["MaximumWindowInMinutes"]);
    window.report_unread(UNKNOWN_FIELD, &mut remarks);
    if fields.text("ActionAfterCompletion").as_deref() == Some("DELETE") {
        remarks.lost("ActionAfterCompletion", "DELETE: the job is kept after its last tick");
    }
    fields.report_lost("KmsKeyArn", "encrypt the store's disk, table or bucket instead", &mut remarks);
    let starts = target::read(fields.object("Target"), &mut draft, &mut remarks);
    fields.ignore(&["Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"]);
    fields.report_unread(UNKNOWN_FIELD, &mut remarks);
    build_job(format!("schedule {group}/{name}"), starts, draft, remarks)
}

/// Converts a rule: each of its ECS targets gives a job.
fn rule_jobs(name: &str, rule: &Value, targets: Vec<Value>) -> Vec<Converted> {
    if !rule["ScheduleExpression"].is_string() {
        return vec![refused_object(format!("rule {name}"), "EventPattern", EVENTS)];
    }
    if targets.is_empty() {
        return vec![refused_object(format!("rule {name}"), "Targets", "the rule has no targets")];
    }
    let many = targets.iter().filter(|target| target["EcsParameters"].is_object()).count() > 1;
    let convert = |target: Value| {
        let id = target["Id"].as_str().unwrap_or_default().to_owned();
        let job = if many { format!("{name}-{id}") } else { name.to_owned() };
        let (mut draft, mut remarks) = (JobDraft::default(), Remarks::default());
        let mut fields = Fields::root(rule.clone());
        set_common_fields(&mut draft, &job, fields.text("Description"), fields.text("State"), &mut remarks);
        let expression = fields.text("ScheduleExpression").unwrap_or_default();
        if is_rate(&expression) {
            remarks.changed("ScheduleExpression", from_1970(&expression, "rule"));
        }
        draft.set("schedule", expression);
        fields.report_lost("EventPattern", "events that match it do not fire the job", &mut remarks);
        fields.report_lost(
            "ManagedBy",
            "this service may change the rule; the job does not change with it",
            &mut remarks,
        );
        fields.report_lost("RoleArn", target::OWN_ROLE, &mut remarks);
        if let Some(bus) = fields.text("EventBusName").filter(|bus| bus != "default") {
            remarks.lost("EventBusName", format!("{bus}: a job belongs to no event bus"));
        }
        fields.ignore(&["Name", "Arn", "CreatedBy"]);
        fields.report_unread(UNKNOWN_FIELD, &mut remarks);
        let starts = target::read(Fields::at("Target", target), &mut draft, &mut remarks);
        build_job(format!("rule {name}, target {id}"), starts, draft, remarks)
    };
    targets.into_iter().map(convert).collect()
}

fn is_rate(expression: &str) -> bool {
    expression.trim_start().to_ascii_lowercase().starts_with("rate")
}

fn from_1970(rate: &str, of: &str) -> String {
    format!(
        "{rate} counts from 1970-01-01 here, and from the creation of the {of} in EventBridge: set scheduleStart to a time at which it fired"
    )
}

/// Sets the fields that schedules and rules share.
fn set_common_fields(
    draft: &mut JobDraft,
    name: &str,
    description: Option<String>,
    state: Option<String>,
    remarks: &mut Remarks,
) {
    let id = job_id(name);
    if id != name {
        remarks.changed("Name", format!("not all characters are valid in a job name: it becomes {id}"));
    }
    draft.set("id", id);
    draft.set_some("description", description);
    draft.set("overlap", "allow");
    match state.as_deref() {
        None | Some("ENABLED" | "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") => {}
        Some("DISABLED") => draft.set("suspended", true),
        Some(other) => {
            remarks.changed("State", format!("unknown state {other}: the job is suspended"));
            draft.set("suspended", true);
        }
    }
}

fn build_job(source: String, starts: bool, draft: JobDraft, mut remarks: Remarks) -> Converted {
    if !starts {
        remarks.refuse("Target.Arn", NOT_ECS);
    }
    Converted::new(source, draft, remarks)
}

/// Reads a timestamp. Older versions of the CLI print seconds since 1970.
fn moment(value: &Value) -> Value {
    let seconds = value.as_f64().and_then(|seconds| {
        let span = std::time::Duration::try_from_secs_f64(seconds).ok()?;
        Timestamp::UNIX_EPOCH.checked_add(span).ok()
    });
    seconds.map_or_else(|| value.clone(), |at| at.to_string().into())
}
