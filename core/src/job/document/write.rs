//! Client writes: a new job, an update, a patch.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::reader::{READ_ONLY, Reader};
use super::scalar::{MISSING, NOT_A_STRING, NULL};
use super::task::{WRONG_NAME, is_definition};
use super::{JobContext, read, schedule_fields};
use crate::job::field_error::{FieldError, FieldPath, whole};
use crate::job::{Job, JobId};

/// The message where the job's name would be a task definition with a revision or an ARN.
pub(super) const NO_ID: &str =
    "Give an id as well: the name of a job cannot be made of a revision or an ARN.";

/// The maximum size of a document, in bytes of JSON.
pub const MAX_DOCUMENT: usize = 131_072;
/// The maximum nesting depth of arrays and objects in a document.
const MAX_NESTING: usize = 32;

/// An accepted document and the job that it defines.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The document to store: without `id` and read-only fields, each field in its canonical form.
    pub document: Map<String, Value>,
    /// The job that it defines, its name included.
    pub job: Job,
}

/// Makes a new job of a request body (`POST /jobs`).
///
/// In the canonical document `taskDefinition` and `taskCount` are always present, `?` in a schedule is resolved, numbers,
/// booleans and environment variables have their proper type, and timestamps have an offset.
///
/// # Errors
///
/// Fails with every field that is wrong, also when the schedule has no tick left after `now`.
pub fn prepare_create(body: Value, cx: &JobContext<'_>, now: Timestamp) -> Result<Prepared, Vec<FieldError>> {
    let Value::Object(mut fields) = body else { return Err(vec![whole("Invalid input type.")]) };
    strip_read_only(&mut fields);
    let given = fields.remove("id");
    let mut errors = Vec::new();
    let id = match (&given, fields.get("taskDefinition")) {
        (Some(id), _) => id_of(id, "id").map_err(|error| errors.push(error)).ok(),
        (None, None) => {
            errors.push(FieldPath::field("taskDefinition").error(MISSING));
            None
        }
        (None, Some(family)) => id_of(family, "taskDefinition").map_err(|error| errors.push(error)).ok(),
    };
    // An invalid name is reported once, and the other fields are still checked.
    let placeholder = || JobId::new("job").expect("`job` is a valid name");
    let prepared = prepare(id.clone().unwrap_or_else(placeholder), fields, None, cx, now);
    match (id, prepared) {
        (Some(_), prepared) => prepared,
        (None, Ok(_)) => Err(errors),
        (None, Err(others)) => {
            let is_known = |other: &FieldError| errors.iter().any(|known| known.pointer == other.pointer);
            let others: Vec<_> = others.into_iter().filter(|other| !is_known(other)).collect();
            Err(errors.into_iter().chain(others).collect())
        }
    }
}

/// Applies a request body to a job (`PUT /jobs/{id}`): each given field replaces the stored one; `null` removes it.
///
/// # Errors
///
/// Fails with every invalid field; unchanged fields are read leniently.
pub fn prepare_update(
    id: &JobId,
    existing: &Map<String, Value>,
    body: Value,
    cx: &JobContext<'_>,
    now: Timestamp,
) -> Result<Prepared, Vec<FieldError>> {
    let changes = changes(id, body)?;
    let mut fields = existing.clone();
    for (name, value) in changes {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    prepare(id.clone(), fields, Some(existing), cx, now)
}

/// Applies a JSON merge patch to a job (`PATCH /jobs/{id}`): as [`prepare_update`], but nested objects are merged too.
///
/// # Source
///
/// RFC 7396, JSON Merge Patch.
///
/// # Errors
///
/// Fails with every invalid field; unchanged fields are read leniently.
pub fn prepare_patch(
    id: &JobId,
    existing: &Map<String, Value>,
    body: Value,
    cx: &JobContext<'_>,
    now: Timestamp,
) -> Result<Prepared, Vec<FieldError>> {
    let changes = changes(id, body)?;
    let mut fields = existing.clone();
    merge(&mut fields, changes);
    prepare(id.clone(), fields, Some(existing), cx, now)
}

/// Extracts the changes from a request body: without `id`, which must be the job's, and without read-only fields.
fn changes(id: &JobId, body: Value) -> Result<Map<String, Value>, Vec<FieldError>> {
    let Value::Object(mut changes) = body else { return Err(vec![whole("Invalid input type.")]) };
    check_size(&changes)?;
    strip_read_only(&mut changes);
    match changes.remove("id") {
        Some(Value::Null) => Err(vec![FieldPath::field("id").error(NULL)]),
        Some(other) if other != id.as_str() => Err(vec![
            FieldPath::field("id").error(format!("Must be \"{id}\": the id of a job does not change.")),
        ]),
        _ => Ok(changes),
    }
}

/// Removes the read-only fields that the API adds to a job's document: last run, links.
pub fn strip_read_only(fields: &mut Map<String, Value>) {
    for name in READ_ONLY {
        fields.remove(name);
    }
}

/// Merges as RFC 7396 defines: `null` removes, objects are merged, everything else is replaced.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(&name);
            }
            Value::Object(patch) => {
                let slot = target.entry(name).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                merge(slot.as_object_mut().expect("it was made an object above"), patch);
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                target.insert(name, value);
            }
        }
    }
}

/// Reads a document, makes it canonical, and rejects one that can never fire.
fn prepare(
    id: JobId,
    fields: Map<String, Value>,
    existing: Option<&Map<String, Value>>,
    cx: &JobContext<'_>,
    now: Timestamp,
) -> Result<Prepared, Vec<FieldError>> {
    check_size(&fields)?;
    let mut document = fields.clone();
    if existing.is_none() && !document.contains_key("taskDefinition") {
        document.insert("taskDefinition".to_owned(), id.as_str().into());
    }
    let reader = Reader::new(cx, &fields, existing, Some(&mut document));
    let is_new = ["schedule", "timezone", "trigger"].iter().any(|name| reader.is_changed(name));
    let job = read(&id, reader)?;
    if is_new {
        schedule_fields::check_future(&job, fields.get("schedule"), now).map_err(|error| vec![error])?;
    }
    Ok(Prepared { document, job })
}

fn check_size(fields: &Map<String, Value>) -> Result<(), Vec<FieldError>> {
    if fields.values().any(|value| is_deeper(value, MAX_NESTING)) {
        return Err(vec![whole(format!("Nested more than {MAX_NESTING} deep."))]);
    }
    let mut size = ByteCount(0);
    if serde_json::to_writer(&mut size, fields).is_err() {
        return Err(vec![whole(format!("Longer than maximum length {MAX_DOCUMENT} as JSON."))]);
    }
    Ok(())
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|field| is_deeper(field, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A writer that counts bytes and fails above the maximum.
struct ByteCount(usize);

impl std::io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > MAX_DOCUMENT { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads a job's name from `id` or `taskDefinition`.
fn id_of(value: &Value, field: &str) -> Result<JobId, FieldError> {
    let path = FieldPath::field(field);
    match value {
        Value::String(name) if name.len() > JobId::MAX => {
            Err(path.error(format!("Longer than maximum length {}.", JobId::MAX)))
        }
        Value::String(name) => JobId::new(name).map_err(|_| {
            let is_precise = field != "id" && is_definition(name);
            path.error(if is_precise { NO_ID } else { WRONG_NAME })
        }),
        Value::Null => Err(path.error(NULL)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(path.error(NOT_A_STRING))
        }
    }
}
