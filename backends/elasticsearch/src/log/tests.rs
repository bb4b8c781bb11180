use serde_json::{Value, json};

use super::{LogObject, is_mapped, mappings};

fn document(bytes: &[u8]) -> Value {
    serde_json::to_value(LogObject::new("segment-1", bytes.to_vec())).unwrap()
}

#[test]
fn text_stays_readable_and_other_bytes_are_encoded() {
    assert_eq!(document("{\"é\":1}".as_bytes()), json!({ "name": "segment-1", "text": "{\"é\":1}" }));
    assert_eq!(document(&[0xff, 0]), json!({ "name": "segment-1", "base64": "/wA=" }));
}

#[test]
fn bytes_are_decoded_unchanged() {
    for bytes in [b"".as_slice(), b"{}", &[0, 255, 128], "\u{0}\n😀".as_bytes()] {
        let object: LogObject = serde_json::from_value(document(bytes)).unwrap();
        assert_eq!(object.into_bytes().unwrap(), bytes);
    }
}

#[test]
fn index_with_another_mapping_of_the_name_is_no_journal() {
    let mut fields = mappings().as_object().unwrap().clone();
    assert!(is_mapped(&fields));
    fields.insert("properties".to_owned(), json!({ "name": { "type": "text" } }));
    assert!(!is_mapped(&fields));
    assert!(!is_mapped(&serde_json::Map::new()));
}
