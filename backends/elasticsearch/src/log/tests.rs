use serde_json::{Value, json};

use super::{Object, is_mapped, mappings};

fn document(bytes: &[u8]) -> Value {
    serde_json::to_value(Object::new("segment-1", bytes.to_vec())).unwrap()
}

#[test]
fn text_stays_readable_and_anything_else_is_encoded() {
    assert_eq!(document("{\"é\":1}".as_bytes()), json!({ "name": "segment-1", "text": "{\"é\":1}" }));
    assert_eq!(document(&[0xff, 0]), json!({ "name": "segment-1", "base64": "/wA=" }));
}

#[test]
fn bytes_come_back_as_they_were() {
    for bytes in [b"".as_slice(), b"{}", &[0, 255, 128], "\u{0}\n😀".as_bytes()] {
        let object: Object = serde_json::from_value(document(bytes)).unwrap();
        assert_eq!(object.into_bytes().unwrap(), bytes);
    }
}

#[test]
fn an_index_that_maps_the_name_otherwise_is_no_journal() {
    let mut fields = mappings().as_object().unwrap().clone();
    assert!(is_mapped(&fields));
    fields.insert("properties".to_owned(), json!({ "name": { "type": "text" } }));
    assert!(!is_mapped(&fields));
    assert!(!is_mapped(&serde_json::Map::new()));
}
