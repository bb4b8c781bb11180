use std::collections::BTreeMap;

use super::{FormatError, expand};

fn environment() -> BTreeMap<String, String> {
    [("HOST", "box-7"), ("EMPTY", ""), ("BRACES", "{HOST}")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn names_become_values_and_doubled_braces_one() {
    for (text, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("{HOST}", "box-7"),
        ("a-{HOST}-{HOST}", "a-box-7-box-7"),
        ("{EMPTY}x", "x"),
        ("{{HOST}}", "{HOST}"),
        ("{{{HOST}}}", "{box-7}"),
        ("ä{HOST}ß", "äbox-7ß"),
    ] {
        assert_eq!(expand(text, &environment()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_value_put_in_is_not_expanded_again() {
    assert_eq!(expand("{BRACES}", &environment()).as_deref(), Ok("{HOST}"));
}

#[test]
fn placeholders_that_str_format_refuses_are_refused() {
    use FormatError::{LoneBrace, NotAName, Unknown};
    for (text, expected) in [
        ("{", LoneBrace('{')),
        ("a}b", LoneBrace('}')),
        ("{HOST", LoneBrace('{')),
        ("{HOST}}", LoneBrace('}')),
        ("{NOPE}", Unknown("NOPE".to_owned())),
        ("{0}", NotAName("0".to_owned())),
        ("{}", NotAName(String::new())),
        ("{HOST!r}", NotAName("HOST!r".to_owned())),
        ("{HOST:>9}", NotAName("HOST:>9".to_owned())),
        ("{HOST.x}", NotAName("HOST.x".to_owned())),
    ] {
        assert_eq!(expand(text, &environment()), Err(expected), "{text}");
    }
}

#[test]
fn error_suggests_a_correct_spelling() {
    let text = |value| expand(value, &environment()).unwrap_err().to_string();
    assert_eq!(text("{NOPE}"), "{NOPE} names an environment variable that is not set");
    assert_eq!(text("a{"), "a lone \"{\"; write \"{{\" for the character itself");
}
