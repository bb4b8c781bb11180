use super::*;
use crate::codec::{number, text};

#[test]
fn names_and_values_never_stand_in_an_expression() {
    let mut words = Words::default();
    let condition = words.condition(&[
        Clause::Equals("state", text("open")),
        Clause::Absent("order"),
        Clause::AtMost("size", number(3)),
    ]);
    let expected = "#n0 = :v0 AND attribute_not_exists(#n1) AND (attribute_not_exists(#n2) OR #n2 <= :v1)";
    assert_eq!(condition.as_deref(), Some(expected));
    let change = words.change(&[("count", number(1))], &["year"]);
    assert_eq!(change.as_deref(), Some("SET #n3 = :v2 REMOVE #n4"));
    let (names, values) = words.into_parts();
    assert_eq!((names.unwrap()["#n4"].as_str(), values.unwrap().len()), ("year", 3));
}

#[test]
fn nothing_is_written_for_nothing() {
    let mut words = Words::default();
    assert_eq!((words.condition(&[]), words.change(&[], &[])), (None, None));
    assert_eq!(words.into_parts(), (None, None));
}
