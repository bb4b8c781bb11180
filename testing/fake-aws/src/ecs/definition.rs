//! Task definitions: families and their revisions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{Definition, EcsState, Tag};
use super::page::Page;
use super::tags;
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Register {
    family: String,
    #[serde(default)]
    container_definitions: Vec<Value>,
    network_mode: Option<String>,
    #[serde(default)]
    requires_compatibilities: Vec<String>,
    cpu: Option<String>,
    memory: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    task_definition: String,
    #[serde(default)]
    include: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    family_prefix: Option<String>,
    status: Option<String>,
    sort: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

impl Register {
    fn check(&self) -> Result<(), Failure> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if self.family.is_empty() || self.family.len() > 255 || !self.family.bytes().all(allowed) {
            return Err(Failure::client("ClientException", "Family contains invalid characters."));
        }
        if self.container_definitions.is_empty() {
            return Err(Failure::client("ClientException", "Container definitions should not be empty."));
        }
        if self.container_definitions.iter().any(|one| !one["name"].is_string() || !one["image"].is_string())
        {
            return Err(Failure::client(
                "ClientException",
                "Container.name and Container.image should not be null or empty.",
            ));
        }
        tags::check(&self.tags)?;
        self.container_definitions.iter().try_for_each(|one| self.check_log(&one["logConfiguration"]))?;
        if self.requires_compatibilities.iter().any(|one| one == "FARGATE") {
            if self.network_mode.as_deref() != Some("awsvpc") {
                return Err(Failure::client(
                    "ClientException",
                    "Fargate only supports network mode 'awsvpc'.",
                ));
            }
            for (name, value) in [("cpu", &self.cpu), ("memory", &self.memory)] {
                if value.is_none() {
                    let message = format!("Fargate requires that '{name}' be defined at the task level.");
                    return Err(Failure::client("ClientException", message));
                }
            }
        }
        Ok(())
    }

    /// Checks the options of the log driver `awslogs`.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html>
    fn check_log(&self, log: &Value) -> Result<(), Failure> {
        if log["logDriver"] != "awslogs" {
            return Ok(());
        }
        let is_missing = |name: &str| log["options"][name].as_str().is_none_or(str::is_empty);
        if is_missing("awslogs-group") || is_missing("awslogs-region") {
            let message = "Log driver awslogs requires options: awslogs-region, awslogs-group";
            return Err(Failure::client("ClientException", message));
        }
        let on_fargate = self.requires_compatibilities.iter().any(|one| one == "FARGATE");
        if on_fargate && is_missing("awslogs-stream-prefix") {
            let message = "Log driver awslogs requires option awslogs-stream-prefix on Fargate";
            return Err(Failure::client("ClientException", message));
        }
        Ok(())
    }

    /// Returns the launch types on which it can run.
    fn compatibilities(&self) -> Vec<&'static str> {
        let on_fargate =
            self.network_mode.as_deref() == Some("awsvpc") && self.cpu.is_some() && self.memory.is_some();
        if on_fargate { vec!["EC2", "FARGATE"] } else { vec!["EXTERNAL", "EC2"] }
    }
}

/// Splits `family`, `family:3` or an ARN into its family and revision.
fn parse<'a>(scope: &AwsScope, named: &'a str) -> Option<(&'a str, Option<u32>)> {
    let name = if named.starts_with("arn:") {
        named.strip_prefix(&scope.arn("ecs", "task-definition/"))?
    } else {
        named
    };
    match name.split_once(':') {
        None => Some((name, None)),
        Some((family, revision)) => Some((family, Some(revision.parse().ok()?))),
    }
}

impl EcsState {
    /// Finds the definition of a family (its newest active revision), `family:revision` or ARN, active or not.
    pub(crate) fn definition(&self, scope: &AwsScope, named: &str) -> Option<&Definition> {
        let (family, revision) = parse(scope, named)?;
        let revisions = self.definitions.get(&(scope.clone(), family.to_owned()))?;
        match revision {
            Some(revision) => revisions.iter().find(|one| one.revision == revision),
            None => revisions.iter().rev().find(|one| one.active),
        }
    }

    pub(crate) fn register(&mut self, scope: &AwsScope, body: &Value, now: f64) -> Result<Value, Failure> {
        let request: Register = read(body)?;
        request.check()?;
        let revisions = self.definitions.entry((scope.clone(), request.family.clone())).or_default();
        let revision = revisions.last().map_or(1, |last| last.revision + 1);
        let arn = scope.arn("ecs", &format!("task-definition/{}:{revision}", request.family));
        let mut document = body.clone();
        let members = document.as_object_mut().expect("a request that was read is an object");
        members.remove("tags");
        members.extend([
            ("taskDefinitionArn".to_owned(), json!(arn)),
            ("revision".to_owned(), json!(revision)),
            ("status".to_owned(), json!("ACTIVE")),
            ("compatibilities".to_owned(), json!(request.compatibilities())),
            ("registeredAt".to_owned(), json!(now)),
            ("registeredBy".to_owned(), json!(scope.caller())),
        ]);
        let definition = Definition {
            arn,
            family: request.family,
            revision,
            active: true,
            document: document.clone(),
            tags: request.tags,
        };
        let tags = definition.tags.clone();
        revisions.push(definition);
        Ok(json!({ "taskDefinition": document, "tags": tags }))
    }

    pub(crate) fn describe_definition(&self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: Named = read(body)?;
        let unknown = || Failure::client("ClientException", "Unable to describe task definition.");
        // Unlike `RunTask`, this call accepts no ARN of a family.
        if request.task_definition.starts_with("arn:")
            && !request.task_definition.rsplit('/').next().is_some_and(|name| name.contains(':'))
        {
            return Err(unknown());
        }
        let found = self.definition(scope, &request.task_definition).ok_or_else(unknown)?;
        let mut answer = json!({ "taskDefinition": found.document });
        if request.include.iter().any(|what| what == "TAGS") {
            answer["tags"] = json!(found.tags);
        }
        Ok(answer)
    }

    pub(crate) fn deregister(&mut self, scope: &AwsScope, body: &Value, now: f64) -> Result<Value, Failure> {
        let request: Named = read(body)?;
        let unknown = || Failure::client("ClientException", "The specified task definition does not exist.");
        let (family, revision) = parse(scope, &request.task_definition).ok_or_else(unknown)?;
        let revision = revision.ok_or_else(|| Failure::client("ClientException", "Revision is missing."))?;
        let revisions = self.definitions.get_mut(&(scope.clone(), family.to_owned())).ok_or_else(unknown)?;
        let found = revisions.iter_mut().find(|one| one.revision == revision).ok_or_else(unknown)?;
        found.active = false;
        found.document["status"] = json!("INACTIVE");
        found.document["deregisteredAt"] = json!(now);
        Ok(json!({ "taskDefinition": found.document }))
    }

    pub(crate) fn list_definitions(&self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: List = read(body)?;
        let active = match request.status.as_deref() {
            None | Some("ACTIVE") => true,
            Some("INACTIVE") => false,
            Some(_) => {
                return Err(Failure::parameter(
                    "status should be one of ACTIVE, INACTIVE, DELETE_IN_PROGRESS.",
                ));
            }
        };
        let in_family = |family: &str| request.family_prefix.as_deref().is_none_or(|prefix| prefix == family);
        let all = self.definitions.iter().filter(|((at, family), _)| at == scope && in_family(family));
        let mut arns: Vec<&str> = all
            .flat_map(|(_, list)| list)
            .filter(|one| one.active == active)
            .map(|one| one.arn.as_str())
            .collect();
        if request.sort.as_deref() == Some("DESC") {
            arns.reverse();
        }
        let page = Page::from_request(request.max_results, request.next_token.as_deref(), body)?;
        let numbered = arns.iter().zip(1..).filter(|(_, number)| *number > page.after);
        Ok(page.answer("taskDefinitionArns", numbered.map(|(arn, number)| (number, (*arn).to_owned()))))
    }
}
