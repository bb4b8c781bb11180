use super::IndexName;

#[test]
fn valid_names_are_accepted() {
    for name in ["jobs", "ecs.jobs-2", "grüße", "a"] {
        let index = IndexName::new(name).unwrap();
        assert_eq!((index.jobs(), index.journal()), (name, format!("{name}-journal")));
    }
}

#[test]
fn invalid_names_are_refused_with_the_reason() {
    let long = "x".repeat(232);
    for (name, reason) in [
        ("", "a word"),
        ("..", "a word"),
        ("Jobs", "lower case"),
        ("_jobs", "begin"),
        ("a b", "blank"),
        ("a/b", "none of"),
        ("a,b", "none of"),
        (long.as_str(), "231"),
    ] {
        let message = IndexName::new(name).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains(name), "{message}");
    }
    assert!(IndexName::new(&"x".repeat(231)).is_ok());
}
