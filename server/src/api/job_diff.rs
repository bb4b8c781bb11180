//! The differences between two documents of a job, each at its JSON pointer.

use serde_json::{Map, Value};

use super::dto::Difference;

#[cfg(test)]
mod tests;

/// Returns each innermost value that differs, in the order of the first document, then in that of the second one.
pub(super) fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    compare_objects(&mut String::new(), before, after, &mut found);
    found
}

fn compare_objects(
    pointer: &mut String,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let added = after.keys().filter(|name| !before.contains_key(*name));
    for name in before.keys().chain(added) {
        let segment = name.replace('~', "~0").replace('/', "~1");
        compare(pointer, &segment, before.get(name), after.get(name), found);
    }
}

/// Compares the values of one segment of a pointer.
fn compare(
    pointer: &mut String,
    segment: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    if before == after {
        return;
    }
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(segment);
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            compare_objects(pointer, before, after, found);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                compare(pointer, &index.to_string(), before.get(index), after.get(index), found);
            }
        }
        (before, after) => found.push(Difference {
            pointer: pointer.clone(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
    pointer.truncate(length);
}
