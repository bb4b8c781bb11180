use serde_json::json;

use super::{parse, parse_many, parse_typed};

/// Forms to which YAML 1.1 or 1.2 gives a type.
const TYPED: [&str; 28] = [
    "0x1F",
    "0o17",
    "017",
    "0b11",
    "1_000",
    "12",
    "-3",
    "+7",
    "1.50",
    "7.0",
    "1e3",
    "1E400",
    ".5",
    ".inf",
    "-.INF",
    ".nan",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "true",
    "False",
    "1:30",
    "190:20:30",
    "2026-01-02",
    "2026-01-02T03:04:05Z",
    "0755",
];

#[test]
fn plain_value_is_the_text_as_it_is_written() {
    for written in TYPED {
        // Characters of several bytes before it, and a comment behind it.
        let text = format!("größe: ½\nname: {written} # a comment\nlist: [{written}, {{a: {written}}}]\n");
        let expected = json!({"größe": "½", "name": written, "list": [written, {"a": written}]});
        assert_eq!(parse(&text).unwrap(), expected, "{written}");
        assert_eq!(parse(&format!("\u{feff}{written}")).unwrap(), written);
        assert_eq!(parse(&format!("name: \"{written}\"")).unwrap(), json!({"name": written}));
        let twice = format!("a: &x {written}\nb: *x\n");
        assert_eq!(parse(&twice).unwrap(), json!({"a": written, "b": written}));
        let merged = format!("base: &b {{v: {written}}}\nown: {{<<: *b, w: 1}}\n");
        assert_eq!(parse(&merged).unwrap()["own"], json!({"v": written, "w": "1"}));
        let documents = format!("# first\n---\na: {written}\n---\n{written}\n");
        assert_eq!(parse_many(&documents).unwrap(), [json!({"a": written}), json!(written)]);
    }
}

#[test]
fn null_is_no_text_and_a_tag_gives_its_type() {
    assert_eq!(
        parse("{a: ~, b: null, c: , d: \"null\", e: ''}").unwrap(),
        json!({"a": null, "b": null, "c": null, "d": "null", "e": ""})
    );
    assert_eq!(parse("{a: !!str 0x1F, b: !!int \"31\"}").unwrap(), json!({"a": "0x1F", "b": "31"}));
    assert_eq!(parse("a: |\n  0x1F\nb: >-\n  yes\n").unwrap(), json!({"a": "0x1F\n", "b": "yes"}));
    assert_eq!(parse_typed("{a: 0x1F, b: true}").unwrap(), json!({"a": 31, "b": true}));
}

#[test]
fn name_of_a_member_keeps_its_text_and_may_be_there_once() {
    assert_eq!(parse("{on: 1, 0x1F: 2, 1.0: 3}").unwrap(), json!({"on": "1", "0x1F": "2", "1.0": "3"}));
    for twice in ["a: 1\na: 2\n", "- {b: 1, b: 2}\n"] {
        assert!(parse(twice).is_err() && parse_many(twice).is_err());
    }
}

#[test]
fn json_is_read_as_its_texts() {
    for text in ["", " a ", "ä😀", "# no comment", "a: b", "\"'\\\n\t", "- x", "&a *b !c"] {
        let document = json!({"number": -5, "text": text, "list": [true, null, {"": text}]});
        let expected = json!({"number": "-5", "text": text, "list": ["true", null, {"": text}]});
        assert_eq!(parse(&document.to_string()).unwrap(), expected);
    }
}
