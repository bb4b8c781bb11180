//! Jobs as clients see them. Their schema is a file of its own, because a document is kept as text and
//! parsed by the core, which names every invalid field: no type here could be the source of a schema.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::job_row::JobRow;
use super::named_schema::named_schema;

/// The fields of a document, and the shapes inside them.
const FIELDS: &str = include_str!("job.json");

named_schema!(
    /// A job that a client writes.
    JobDocument
);
named_schema!(
    /// Fields of a job to change.
    JobChange
);
named_schema!(
    /// A job in a response.
    JobView
);
named_schema!(
    /// Overrides of one container.
    ContainerOverride
);
named_schema!(
    /// A schedule: an expression or several.
    Schedule
);

/// A page of jobs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: jobs are copied as text into the answer")]
pub(in crate::api) struct JobPage {
    jobs: Vec<ListedJob>,
    /// The number of jobs that pass the filter; with `q`, `label`, `trigger`, `suspended`, `sort` or `view` only, and without `outcome`.
    #[schema(nullable = false)]
    total: Option<u64>,
    /// A link to the previous page.
    #[schema(nullable = false)]
    prev: Option<String>,
    /// A link to the next page.
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A job in a list: its document, or a row.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used: each form is written by its own type")]
pub(in crate::api) enum ListedJob {
    Job(JobView),
    Row(JobRow),
}

/// A job's name and the link to it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: the answer is written as text")]
pub(in crate::api) struct Reference {
    /// The job's name.
    id: String,
    link: Link,
    /// Warnings about parts that are valid but probably a mistake; absent if there are none.
    #[schema(nullable = false)]
    warnings: Option<Vec<String>>,
}

/// A link to a resource.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::api) struct Link {
    pub(in crate::api) rel: String,
    pub(in crate::api) title: String,
    pub(in crate::api) href: String,
}

/// The name of the removed job.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Removed {
    pub(in crate::api) id: String,
}

/// Returns the schemas of jobs by name: the document, a change, the view, and the shapes inside them.
pub(super) fn schemas(max_tasks: u32) -> Map<String, Value> {
    let mut file: Map<String, Value> = serde_json::from_str(FIELDS).expect("the file is a JSON object");
    let take = |file: &mut Map<String, Value>, name: &str| match file.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let mut fields = take(&mut file, "fields");
    for name in ["taskCount", "maxCount"] {
        fields[name]["maximum"] = max_tasks.into();
    }
    let (name, read_only) = (take(&mut file, "name"), take(&mut file, "readOnly"));
    let mut schemas = file;
    let change: Map<String, Value> = fields
        .iter()
        .map(|(name, schema)| {
            let removable = !matches!(name.as_str(), "taskDefinition");
            let schema =
                if removable { json!({"anyOf": [schema, {"type": "null"}]}) } else { schema.clone() };
            (name.clone(), schema)
        })
        .chain(name.clone())
        .chain(read_only.clone())
        .collect();
    let written: Map<String, Value> =
        fields.clone().into_iter().chain(name.clone()).chain(read_only.clone()).collect();
    let shown: Map<String, Value> = fields.into_iter().chain(name).chain(read_only).collect();
    schemas.insert(
        "JobDocument".to_owned(),
        json!({
            "type": "object",
            "description": "A job that a client writes, with `taskDefinition`, `id`, or both. Read-only fields are \
                            accepted and ignored.",
            "properties": written,
            "additionalProperties": false,
            "example": {"taskDefinition": "nightly-report", "schedule": "0 30 2", "timezone": "Europe/Berlin"},
        }),
    );
    schemas.insert(
        "JobChange".to_owned(),
        json!({
            "type": "object",
            "description": "Fields of a job to change; `null` removes a field. Read-only fields are accepted and \
                            ignored.",
            "properties": change,
            "additionalProperties": false,
            "example": {"taskCount": 3, "maxCount": null},
        }),
    );
    schemas.insert(
        "JobView".to_owned(),
        json!({
            "type": "object",
            "description": "A job: the stored document and its current state.",
            "properties": shown,
            "required": ["id", "link"],
        }),
    );
    schemas
}
