use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn cursor_keeps_the_positions_of_containers_in_their_order(
        positions in prop::collection::vec(("[a-zA-Z0-9_-]{1,20}", "[!-:<-~]{0,40}"), 0..5),
    ) {
        let borrowed = positions.iter().map(|(container, position)| (container.as_str(), position.as_str()));
        let cursor = LogCursor::from_positions(borrowed);
        let read = LogCursor::parse(cursor.as_str()).unwrap();
        let read: Vec<_> = read.positions().map(|(name, position)| (name.to_owned(), position.to_owned())).collect();
        prop_assert_eq!(read, positions);
    }
}

#[test]
fn request_without_a_cursor_has_no_positions() {
    let mut request = LogRequest::new(TaskId::new("task"), "work:1");
    assert_eq!(request.position("main"), None);
    request.start = LogStart::After(LogCursor::from_positions([("main", "a=b"), ("side", "")]));
    assert_eq!(["main", "side", "other"].map(|name| request.position(name)), [Some("a=b"), Some(""), None]);
}

#[test]
fn page_is_within_its_bounds_of_lines_and_bytes() {
    let mut request = LogRequest::new(TaskId::new("task"), "work:1");
    request.max_lines = 2;
    let within = |texts: &[&str]| {
        let lines = texts.iter().map(|text| LogLine::new(None, "main", *text)).collect();
        LogPage::new(lines, LogCursor::from_positions([])).is_within(&request)
    };
    let page = LogPage::new(Vec::new(), LogCursor::from_positions([("main", "a line\n")]));
    assert!(!page.is_within(&request));
    let half = "a".repeat(MAX_LOG_BYTES / 2);
    assert!(within(&[]) && within(&[&half, &half]));
    assert!(!within(&["", "", ""]) && !within(&[&half, &format!("{half}a")]));
}
