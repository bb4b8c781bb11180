use serde_json::{Value, json};

use super::key;
use crate::help::{Answer, Rig, with};

impl Rig {
    async fn update(&self, pk: &str, sk: &str, more: Value) -> Answer {
        let call = json!({ "TableName": "things", "Key": key(pk, sk) });
        self.dynamodb("UpdateItem", with(call, more)).await
    }

    async fn delete(&self, pk: &str, sk: &str, more: Value) -> Answer {
        let call = json!({ "TableName": "things", "Key": key(pk, sk) });
        self.dynamodb("DeleteItem", with(call, more)).await
    }
}

#[tokio::test]
async fn item_is_put_updated_and_deleted() {
    let rig = Rig::with_things().await;
    let text = json!({ "text": { "S": "Zürich" }, "deep": { "M": { "list": { "L": [{ "N": "1.50" }] } } } });
    let text = with(text, json!({ "bytes": { "B": "AAH/" } }));
    rig.put("a", "1", text).await.good();
    let is = rig.item("a", "1").await;
    assert_eq!(is["bytes"], json!({ "B": "AAH/" }));
    assert_eq!(
        (&is["text"], &is["deep"]["M"]["list"]["L"][0]),
        (&json!({"S": "Zürich"}), &json!({"N": "1.5"}))
    );
    let put = json!({ "TableName": "things", "Item": key("a", "1"), "ReturnValues": "ALL_OLD" });
    assert_eq!(rig.dynamodb("PutItem", put).await.good()["Attributes"], is);
    assert_eq!(rig.item("a", "1").await, key("a", "1"), "a put replaces all of it");
    let gone = rig.delete("a", "1", json!({ "ReturnValues": "ALL_OLD" })).await.good();
    assert_eq!(gone["Attributes"], key("a", "1"));
    assert_eq!(rig.item("a", "1").await, Value::Null);
    assert_eq!(rig.delete("a", "1", json!({ "ReturnValues": "ALL_OLD" })).await.good(), json!({}));
}

#[tokio::test]
async fn update_sets_removes_adds_and_deletes() {
    let rig = Rig::with_things().await;
    rig.update("a", "1", json!({})).await.good();
    assert_eq!(rig.item("a", "1").await, key("a", "1"), "an update makes the item");
    let values = json!({
        ":one": { "N": "1" }, ":big": { "N": "1800000000123456789" }, ":set": { "SS": ["x", "y"] },
        ":list": { "L": [{ "S": "p" }, { "S": "q" }, { "S": "r" }] }, ":map": { "M": {} },
    });
    let set = "SET n = if_not_exists(n, :big) + :one, l = :list, m = :map ADD c :one, s :set";
    rig.update("a", "1", json!({ "UpdateExpression": set, "ExpressionAttributeValues": values }))
        .await
        .good();
    let values = json!({ ":five": { "N": "5" }, ":x": { "SS": ["x"] }, ":more": { "L": [{ "S": "s" }] } });
    let more = json!({
        "UpdateExpression":
            "REMOVE l[0], l[2], gone DELETE s :x SET n = n - :five, m.#in = list_append(l, :more) ADD c :five",
        "ExpressionAttributeValues": values, "ExpressionAttributeNames": { "#in": "inner" },
        "ReturnValues": "UPDATED_NEW",
    });
    let new = rig.update("a", "1", more).await.good()["Attributes"].clone();
    assert_eq!(new["n"], json!({ "N": "1800000000123456785" }));
    assert_eq!((&new["c"], &new["s"]), (&json!({ "N": "6" }), &json!({ "SS": ["y"] })));
    let letters = ["p", "q", "r", "s"].map(|letter| json!({ "S": letter }));
    assert_eq!(
        new["m"]["M"]["inner"]["L"],
        json!(letters),
        "everything is worked out over what was there before"
    );
    assert_eq!(rig.item("a", "1").await["l"], json!({ "L": [{ "S": "q" }] }));
    let last = json!({
        "UpdateExpression": "DELETE s :y", "ExpressionAttributeValues": { ":y": { "SS": ["y"] } },
        "ReturnValues": "ALL_NEW",
    });
    assert_eq!(
        rig.update("a", "1", last).await.good()["Attributes"]["s"],
        Value::Null,
        "a set is never empty"
    );
}

#[tokio::test]
async fn invalid_updates_are_refused_and_change_nothing() {
    let rig = Rig::with_things().await;
    rig.put("a", "1", json!({ "text": { "S": "x" }, "n": { "N": "1" } })).await.good();
    let before = rig.item("a", "1").await;
    let one = json!({ ":v": { "N": "1" } });
    for (expression, part) in [
        ("SET pk = :v", "This attribute is part of the key"),
        ("SET n = :v, n = :v", "Two document paths overlap"),
        ("SET text.a = :v", "document path provided in the update expression is invalid"),
        ("SET n = missing + :v", "refers to an attribute that does not exist"),
        ("SET n = text + :v", "incorrect data type"),
        ("ADD text :v", "incorrect data type"),
        ("DELETE n :v", "operator: DELETE, operand type: N"),
        ("SET n = :v SET n = :v", "\"SET\" section can only be used once"),
        ("SET n = twice(:v)", "Invalid function name; function: twice"),
        ("SET n : :v", "Syntax error; token: \":\""),
        ("SET n = :v n", "Syntax error; token: \"n\""),
    ] {
        let call = json!({ "UpdateExpression": expression, "ExpressionAttributeValues": one });
        rig.update("a", "1", call).await.invalid(part);
    }
    let a = json!({ "UpdateExpression": "SET t = :v", "ExpressionAttributeValues": { ":v": { "S": "x" } } });
    rig.update("a", "1", a)
        .await
        .invalid("Type mismatch for Index Key t Expected: N Actual: S IndexName: by-age");
    assert_eq!(rig.item("a", "1").await, before);
}

#[tokio::test]
async fn keys_and_items_are_validated() {
    let rig = Rig::with_things().await;
    for (more, part) in [
        (json!({ "pk": { "N": "1" } }), "Type mismatch for key pk expected: S actual: N"),
        (json!({ "pk": { "S": "" } }), "cannot contain an empty string value. Key: pk"),
        (json!({ "sk": null }), "Missing the key sk in the item"),
        (json!({ "sk": { "S": "x".repeat(1025) } }), "Size of rangekey"),
        (json!({ "t": { "S": "late" } }), "Type mismatch for Index Key t"),
        (json!({ "x": { "S": "x".repeat(409_600) } }), "Item size has exceeded the maximum allowed size"),
        (json!({ "x": { "N": "ten" } }), "cannot be converted to a numeric value: ten"),
        (json!({ "x": { "SS": [] } }), "may not be empty"),
        (json!({ "x": { "SS": ["a", "a"] } }), "[a, a] contains duplicates"),
        (json!({ "x": {} }), "exactly one of the supported datatypes"),
        (json!({ "x": { "NULL": false } }), "must have the value of true"),
        (json!({ "x": { "BS": ["eA=="] } }), "no sets of binary values"),
    ] {
        rig.put("a", "1", more).await.invalid(part);
    }
    let no_base64 = rig.put("a", "1", json!({ "x": { "B": "no base64" } })).await;
    no_base64.refused("SerializationException", "unexpected value of type B");
    let odd = json!({ "TableName": "things", "Key": { "pk": { "S": "a" } } });
    rig.dynamodb("DeleteItem", odd).await.invalid("The provided key element does not match the schema");
    rig.put("a", "1", json!({ "x": { "S": "x".repeat(409_000) } })).await.good();
    rig.put("a", "1", json!({ "x": { "B": "AAAA".repeat(136_000) } })).await.good();
    rig.put("a", "1", json!({ "x": { "B": "AAAA".repeat(137_000) } }))
        .await
        .invalid("Item size has exceeded");
}

#[tokio::test]
async fn failed_condition_stops_a_write() {
    let rig = Rig::with_things().await;
    rig.put("a", "1", json!({ "n": { "N": "1" } })).await.good();
    let create = json!({
        "TableName": "things", "Item": key("a", "1"), "ConditionExpression": "attribute_not_exists(pk)",
    });
    rig.dynamodb("PutItem", create.clone())
        .await
        .refused("ConditionalCheckFailedException", "conditional request");
    let shown = with(create, json!({ "ReturnValuesOnConditionCheckFailure": "ALL_OLD" }));
    assert_eq!(rig.dynamodb("PutItem", shown).await.body["Item"]["n"], json!({ "N": "1" }));
    let given =
        json!({ "ConditionExpression": "n = :two", "ExpressionAttributeValues": { ":two": { "N": "2" } } });
    rig.delete("a", "1", given).await.refused("ConditionalCheckFailedException", "conditional request");
    assert_eq!(rig.item("a", "1").await["n"], json!({ "N": "1" }));
}

#[tokio::test]
async fn capacity_is_returned_on_request() {
    let rig = Rig::with_things().await;
    let item = with(key("a", "1"), json!({ "x": { "S": "x".repeat(1500) } }));
    let put = json!({ "TableName": "things", "Item": item, "ReturnConsumedCapacity": "TOTAL" });
    let used = rig.dynamodb("PutItem", put).await.good()["ConsumedCapacity"].clone();
    assert_eq!(used, json!({ "TableName": "things", "CapacityUnits": 2.0 }));
    let delete = json!({ "ReturnConsumedCapacity": "SOME" });
    rig.delete("a", "1", delete).await.invalid("enum value set");
}
