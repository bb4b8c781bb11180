//! Tags on clusters, task definitions and tasks.

use serde::Deserialize;
use serde_json::{Value, json};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::model::{EcsState, Tag};
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// Maximum number of tags on a resource.
const MAX_TAGS: usize = 50;

/// Tells whether a character is allowed in keys and values.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html>
fn is_allowed(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Number, Separator};
    matches!(c.general_category_group(), Letter | Number | Separator) || "_.:/=+-@".contains(c)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    resource_arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Fails on tags that ECS does not accept.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html#ECS-RunTask-request-tags>
pub(crate) fn check(tags: &[Tag]) -> Result<(), Failure> {
    if tags.len() > MAX_TAGS {
        return Err(Failure::parameter("The maximum number of tags per resource is 50"));
    }
    for (index, tag) in tags.iter().enumerate() {
        if tag.key.is_empty() || tag.key.chars().count() > 128 || tag.value.chars().count() > 256 {
            return Err(Failure::parameter("A tag key has 1 to 128 characters, a tag value up to 256"));
        }
        if [&tag.key, &tag.value].iter().any(|text| text.to_ascii_lowercase().starts_with("aws:")) {
            return Err(Failure::parameter("Tag keys and values cannot start with aws:"));
        }
        if !tag.key.chars().chain(tag.value.chars()).all(is_allowed) {
            let message = "Tags can only contain letters, numbers, spaces and the characters _ . : / = + - @";
            return Err(Failure::parameter(message));
        }
        if tags[..index].iter().any(|other| other.key == tag.key) {
            return Err(Failure::parameter("Duplicate tag keys found"));
        }
    }
    Ok(())
}

impl EcsState {
    pub(crate) fn list_tags(&mut self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: Request = read(body)?;
        Ok(json!({ "tags": self.tags_of(scope, &request.resource_arn)? }))
    }

    pub(crate) fn tag(&mut self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: Request = read(body)?;
        let known = self.tags_of(scope, &request.resource_arn)?;
        let mut tags: Vec<Tag> = known.clone();
        tags.retain(|tag| !request.tags.iter().any(|new| new.key == tag.key));
        tags.extend(request.tags);
        check(&tags)?;
        *known = tags;
        Ok(json!({}))
    }

    fn tags_of(&mut self, scope: &AwsScope, arn: &str) -> Result<&mut Vec<Tag>, Failure> {
        if let Some(number) = self.by_arn.get(arn) {
            let task = self.tasks.get_mut(number).expect("every indexed task is kept");
            return Ok(&mut task.tags);
        }
        let missing = || Failure::parameter("The specified resource was not found.");
        if arn.contains(":cluster/") {
            let key = super::cluster::key(scope, Some(arn)).ok_or_else(missing)?;
            return self.clusters.get_mut(&key).map(|cluster| &mut cluster.tags).ok_or_else(missing);
        }
        let mut definitions = self.definitions.values_mut().flatten();
        definitions.find(|one| one.arn == arn).map(|one| &mut one.tags).ok_or_else(missing)
    }
}
