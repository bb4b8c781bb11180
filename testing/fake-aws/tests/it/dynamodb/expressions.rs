use serde_json::{Value, json};

use super::sort_keys;
use crate::help::{Answer, Rig, with};

impl Rig {
    /// A fake with three items that differ in every attribute.
    async fn with_three() -> Self {
        let rig = Self::with_things().await;
        let list = json!({ "L": [{ "N": "1" }, { "S": "x" }] });
        let one =
            json!({ "n": { "N": "1" }, "name": { "S": "apple" }, "set": { "SS": ["r", "g"] }, "l": list });
        rig.put("a", "1", one).await.good();
        let deep = json!({ "M": { "in": { "N": "7" } } });
        let two =
            json!({ "n": { "N": "20" }, "name": { "S": "banana" }, "set": { "NS": ["1", "2"] }, "m": deep });
        rig.put("a", "2", two).await.good();
        rig.put("a", "3", json!({ "name": { "BOOL": true }, "none": { "NULL": true } })).await.good();
        rig
    }

    async fn filter(&self, filter: &str, more: Value) -> Answer {
        let values = json!({
            ":a": { "S": "a" }, ":one": { "N": "1" }, ":twenty": { "N": "20" }, ":apple": { "S": "apple" },
            ":r": { "S": "r" }, ":S": { "S": "S" }, ":three": { "N": "3" },
        });
        let keys = "pk = :a";
        let used = values.as_object().unwrap().iter().filter(|(name, _)| {
            *name == ":a"
                || filter
                    .split(|letter: char| !letter.is_alphanumeric() && letter != ':')
                    .any(|word| word == *name)
        });
        let used: Value = used.map(|(name, value)| (name.clone(), value.clone())).collect();
        let call = json!({
            "KeyConditionExpression": keys, "FilterExpression": filter, "ExpressionAttributeValues": used,
        });
        self.query(with(call, more)).await
    }
}

#[tokio::test]
async fn conditions_follow_the_grammar() {
    let rig = Rig::with_three().await;
    for (filter, expected) in [
        ("n = :one", "1"),
        ("n <> :one", "23"),
        ("n < :twenty", "1"),
        ("n <= :twenty", "12"),
        ("n > :one", "2"),
        ("n >= :one", "12"),
        (":twenty > n", "1"),
        ("n BETWEEN :one AND :three", "1"),
        ("n IN (:three, :twenty)", "2"),
        ("attribute_exists(m.in)", "2"),
        ("attribute_not_exists(n)", "3"),
        ("attribute_type(name, :S)", "12"),
        ("begins_with(name, :a)", "1"),
        ("contains(name, :a)", "12"),
        ("contains(set, :r)", "1"),
        ("contains(set, :one)", "2"),
        ("contains(l, :one)", "1"),
        ("size(name) > :three", "12"),
        ("size(set) < :three AND size(l) < :three", "1"),
        ("l[0] = :one", "1"),
        ("l[2] = :one", ""),
        ("n = :one OR n = :twenty AND name = :apple", "1"),
        ("(n = :one OR n = :twenty) AND NOT name = :apple", "2"),
        ("NOT NOT n = :one", "1"),
        ("not n = :one and not n = :twenty", "3"),
        ("name < :apple", ""),
    ] {
        let answer = rig.filter(filter, json!({})).await.good();
        assert_eq!(sort_keys(&answer).concat(), expected, "{filter}");
        assert_eq!(answer["ScannedCount"], 3, "{filter}");
    }
}

#[tokio::test]
async fn invalid_expressions_are_refused() {
    let rig = Rig::with_three().await;
    for (filter, part) in [
        ("", "The expression can not be empty"),
        ("n =", "Syntax error; token: \"<EOF>\""),
        ("n = :one)", "Syntax error; token: \")\""),
        ("(n = :one", "Syntax error"),
        ("n ! :one", "Syntax error; token: \"!\""),
        ("n = :one n", "Syntax error; token: \"n\""),
        ("n = :nine", "attribute value used in expression is not defined; attribute value: :nine"),
        ("#n = :one", "attribute name used in the document path is not defined; attribute name: #n"),
        ("like(n, :one)", "Invalid function name; function: like"),
        ("begins_with(n, :one)", "operand type: N"),
        ("attribute_type(n, :apple)", "Invalid attribute type name found; type: apple"),
        ("attribute_exists(n, m)", "Incorrect number of operands"),
        ("n BETWEEN :twenty AND :one", "upper bound to be greater than or equal to lower bound"),
        ("n BETWEEN :one AND :apple", "same data type"),
        ("n = n", "The first operand must be distinct"),
        ("pk = :one", "can only contain non-primary key attributes: Primary key attribute: pk"),
    ] {
        rig.filter(filter, json!({})).await.invalid(part);
    }
}

#[tokio::test]
async fn placeholders_must_be_used_and_valid() {
    let rig = Rig::with_three().await;
    let keys = json!({ "KeyConditionExpression": "pk = :a" });
    let values = |values: Value| json!({ "ExpressionAttributeValues": values });
    let a = json!({ "S": "a" });
    for (more, part) in [
        (values(json!({ ":a": a, ":b": a })), "unused in expressions: keys: {:b}"),
        (values(json!({ "a": a })), "contains invalid key: Syntax error; key: \"a\""),
        (values(json!({})), "ExpressionAttributeValues must not be empty"),
        (values(json!({ ":a": { "N": "x" } })), "contains invalid value"),
        (
            with(values(json!({ ":a": a })), json!({ "ExpressionAttributeNames": { "#n": "n" } })),
            "keys: {#n}",
        ),
    ] {
        rig.query(with(keys.clone(), more)).await.invalid(part);
    }
    let put = json!({ "TableName": "things", "Item": super::key("a", "1"), "ExpressionAttributeNames": { "#n": "n" } });
    rig.dynamodb("PutItem", put).await.invalid("can only be specified when using expressions");
}

#[tokio::test]
async fn projection_returns_the_requested_attributes() {
    let rig = Rig::with_three().await;
    let asked =
        json!({ "ProjectionExpression": "#n, m.in, l[1]", "ExpressionAttributeNames": { "#n": "name" } });
    let answer = rig.filter("n >= :one", asked).await.good();
    let (one, two) = (&answer["Items"][0], &answer["Items"][1]);
    assert_eq!(*one, json!({ "name": { "S": "apple" }, "l": { "L": [{ "S": "x" }] } }));
    assert_eq!(*two, json!({ "name": { "S": "banana" }, "m": { "M": { "in": { "N": "7" } } } }));
    let twice = json!({ "ProjectionExpression": "m, m.in" });
    rig.filter("n = :one", twice).await.invalid("Two document paths overlap");
}
