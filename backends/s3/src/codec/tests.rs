use super::to_python_json;
use serde_json::value::RawValue;

fn written(json: &str) -> String {
    to_python_json(&RawValue::from_string(json.to_owned()).unwrap()).unwrap()
}

#[test]
fn recorded_documents_of_the_python_version_are_encoded_byte_for_byte() {
    let bucket: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/fixtures/python-bucket.json")).unwrap();
    let mut bodies = 0;
    for object in bucket.as_object().unwrap().values().flat_map(|list| list.as_array().into_iter().flatten())
    {
        let body = object["body"].as_str().unwrap();
        // In another order, without spaces, and not only ASCII.
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(written(&serde_json::to_string(&value).unwrap()), body);
        assert_eq!(written(&format!(" {} ", serde_json::to_string_pretty(&value).unwrap())), body);
        bodies += 1;
    }
    assert!(bodies > 20, "{bodies}");
}

#[test]
fn keys_are_sorted_at_every_level_and_the_last_duplicate_is_kept() {
    assert_eq!(
        written(r#"{"b":[{"z":1,"a":2}],"a":{},"b2":[],"a":{"é":1,"z":2}}"#),
        r#"{"a": {"z": 2, "\u00e9": 1}, "b": [{"a": 2, "z": 1}], "b2": []}"#
    );
}

#[test]
fn characters_are_escaped_as_python_escapes_them() {
    assert_eq!(
        written("\"\\u0000\\u001f\\u007f~ \\b\\f\\n\\r\\t\\\"\\\\/é✓😀\""),
        r#""\u0000\u001f\u007f~ \b\f\n\r\t\"\\/\u00e9\u2713\ud83d\ude00""#
    );
}

#[test]
fn numbers_and_literals_are_copied() {
    assert_eq!(
        written("[1.0, -0, 1e400 ,true,null,123456789012345678901234567890]"),
        "[1.0, -0, 1e400, true, null, 123456789012345678901234567890]"
    );
}
