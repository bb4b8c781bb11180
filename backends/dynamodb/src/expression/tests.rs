use super::*;
use crate::codec::{number, text};

#[test]
fn expressions_have_placeholders_for_names_and_values() {
    let mut builder = ExpressionBuilder::default();
    let condition = builder.condition(&[
        Condition::Equals("state", text("open")),
        Condition::Absent("order"),
        Condition::AtMost("size", number(3)),
    ]);
    let expected = "#n0 = :v0 AND attribute_not_exists(#n1) AND (attribute_not_exists(#n2) OR #n2 <= :v1)";
    assert_eq!(condition.as_deref(), Some(expected));
    let update = builder.update(&[("count", number(1))], &["year"]);
    assert_eq!(update.as_deref(), Some("SET #n3 = :v2 REMOVE #n4"));
    let (names, values) = builder.into_parts();
    assert_eq!((names.unwrap()["#n4"].as_str(), values.unwrap().len()), ("year", 3));
}

#[test]
fn no_conditions_and_no_changes_give_no_expression() {
    let mut builder = ExpressionBuilder::default();
    assert_eq!((builder.condition(&[]), builder.update(&[], &[])), (None, None));
    assert_eq!(builder.into_parts(), (None, None));
}
