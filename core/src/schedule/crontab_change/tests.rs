use super::*;

#[test]
fn numbers_of_weekdays_in_five_fields_are_described_as_they_are_and_were() {
    for (word, change) in [
        ("1-5", "weekday `1-5` is Monday to Friday, and was Sunday to Thursday"),
        ("7", "weekday `7` is Sunday, and was Saturday"),
        ("MON,3", "weekday `MON,3` is Monday and Wednesday, and was Monday and Tuesday"),
    ] {
        let text = format!("cron(0 9 * * {word})");
        assert_eq!(describe_change(&text), Some(format!("`{text}`: {change}")));
    }
    for special in ["5L", "1#2"] {
        let change = describe_change(&format!("cron(0 9 * * {special})")).unwrap();
        assert!(change.contains(" is ") && change.contains(", and was "), "{change}");
    }
}

#[test]
fn two_day_fields_of_which_one_begins_with_a_star_are_described() {
    let both = "both day fields must match, and one was enough";
    assert_eq!(describe_change("CRON(0 0 */2 * MON)"), Some(format!("`CRON(0 0 */2 * MON)`: {both}")));
    assert_eq!(
        describe_change("cron(0 0 */2 * 1)"),
        Some(format!("`cron(0 0 */2 * 1)`: weekday `1` is Monday, and was Sunday; {both}"))
    );
}

#[test]
fn lines_with_the_same_days_and_lines_that_were_refused_are_not_described() {
    for text in [
        "cron(0 9 * * *)",
        "cron(0 9 * * MON-FRI)",
        "cron(0 9 * * */2)",
        "cron(0 9 * * 1-7)",
        // The earlier rule had no weekday 0, and no step that is larger than its field.
        "cron(0 9 * * 0)",
        "cron(0 9 * * 0-6)",
        "cron(0 9 15 * MON)",
        "cron(0 9 ? * 2-6 *)",
        "0 0 9 1-5",
        "rate(1 day)",
        "@daily",
    ] {
        assert_eq!(describe_change(text), None, "{text}");
    }
}
