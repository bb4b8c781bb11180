use super::*;

#[test]
fn label_matches_by_name_or_by_name_and_value() {
    let document = r#"{"labels": {"team": "a=b", "stage": ""}, "taskDefinition": "x"}"#;
    for (query, expected) in [
        ("team", true),
        ("team=a=b", true),
        ("team=a", false),
        ("stage=", true),
        ("other", false),
        ("team=", false),
    ] {
        assert_eq!(Label::parse(query).matches(document), expected, "{query}");
    }
    assert!(!Label::parse("team").matches("{}") && !Label::parse("team").matches("not JSON"));
}
