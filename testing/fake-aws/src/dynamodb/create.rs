//! `CreateTable` and `DescribeTable`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::{constraint, invalid, invalid_value};
use super::key::{KeyType, Schema};
use super::table::{Index, Projection, Table};
use super::{DynamoDbSettings, DynamoDbState, Open};
use crate::clock::later;
use crate::ecs::seconds;
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// Maximum number of indexes of a table.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MAX_INDEXES: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    table_name: String,
    attribute_definitions: Vec<Definition>,
    key_schema: Vec<Element>,
    #[serde(default)]
    global_secondary_indexes: Vec<IndexSent>,
    billing_mode: Option<String>,
    provisioned_throughput: Option<Throughput>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Definition {
    attribute_name: String,
    attribute_type: KeyType,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Element {
    attribute_name: String,
    key_type: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Role {
    Hash,
    Range,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct IndexSent {
    index_name: String,
    key_schema: Vec<Element>,
    projection: ProjectionSent,
    provisioned_throughput: Option<Throughput>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ProjectionSent {
    projection_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    non_key_attributes: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Throughput {
    read_capacity_units: u64,
    write_capacity_units: u64,
}

impl Throughput {
    fn to_json(self) -> Value {
        json!({
            "NumberOfDecreasesToday": 0,
            "ReadCapacityUnits": self.read_capacity_units,
            "WriteCapacityUnits": self.write_capacity_units,
        })
    }
}

impl DynamoDbState {
    pub(super) fn create(
        &mut self,
        scope: &AwsScope,
        body: &Value,
        now: Timestamp,
        settings: &DynamoDbSettings,
    ) -> Result<Value, Failure> {
        let request: Request = read(body)?;
        let name = request.table_name.clone();
        check_name(&name, "tableName")?;
        if self.tables.contains_key(&(scope.clone(), name.clone())) {
            return Err(Failure::client("ResourceInUseException", format!("Table already exists: {name}")));
        }
        let schema = request.schema()?;
        let indexes = request.indexes()?;
        request.check_definitions()?;
        request.check_throughput()?;
        let ready = later(now, settings.creation);
        let open = Open { table: Table::new(schema, indexes), ready, about: request.description(scope, now) };
        let shown = open.describe(now);
        self.tables.insert((scope.clone(), name), open);
        Ok(json!({ "TableDescription": shown }))
    }

    pub(super) fn describe(&self, scope: &AwsScope, body: &Value, now: Timestamp) -> Result<Value, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Described {
            table_name: String,
        }
        let name = read::<Described>(body)?.table_name;
        let Some(open) = self.tables.get(&(scope.clone(), name.clone())) else {
            let message = format!("Requested resource not found: Table: {name} not found");
            return Err(Failure::client("ResourceNotFoundException", message));
        };
        Ok(json!({ "Table": open.describe(now) }))
    }
}

impl Open {
    fn describe(&self, now: Timestamp) -> Value {
        let status = if now < self.ready { "CREATING" } else { "ACTIVE" };
        let mut shown = self.about.clone();
        shown["TableStatus"] = status.into();
        shown["ItemCount"] = self.table.len().into();
        for index in shown["GlobalSecondaryIndexes"].as_array_mut().into_iter().flatten() {
            index["IndexStatus"] = status.into();
        }
        shown
    }
}

impl Request {
    fn schema(&self) -> Result<Schema, Failure> {
        schema(&self.key_schema, &self.attribute_definitions)
    }

    fn indexes(&self) -> Result<Vec<Index>, Failure> {
        if self.global_secondary_indexes.len() > MAX_INDEXES {
            let message = format!("GlobalSecondaryIndex count exceeds the per-table limit of {MAX_INDEXES}");
            return Err(invalid_value(message));
        }
        let mut names = BTreeSet::new();
        let indexes = self.global_secondary_indexes.iter().map(|sent| {
            check_name(&sent.index_name, "globalSecondaryIndexes.member.indexName")?;
            if !names.insert(&sent.index_name) {
                return Err(invalid_value(format!("Duplicate index name: {}", sent.index_name)));
            }
            let projection = sent.projection.read()?;
            let schema = schema(&sent.key_schema, &self.attribute_definitions)?;
            Ok(Index::new(sent.index_name.clone(), schema, projection))
        });
        indexes.collect()
    }

    /// Fails unless each defined attribute is part of a key.
    fn check_definitions(&self) -> Result<(), Failure> {
        let elements = self.global_secondary_indexes.iter().flat_map(|index| &index.key_schema);
        let used: BTreeSet<&str> =
            elements.chain(&self.key_schema).map(|element| element.attribute_name.as_str()).collect();
        let defined: Vec<&str> =
            self.attribute_definitions.iter().map(|one| one.attribute_name.as_str()).collect();
        if used == defined.iter().copied().collect() && used.len() == defined.len() {
            return Ok(());
        }
        Err(invalid_value(format!(
            "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
            defined.join(", "),
            used.into_iter().collect::<Vec<_>>().join(", ")
        )))
    }

    /// Fails unless the throughput matches the billing mode.
    fn check_throughput(&self) -> Result<(), Failure> {
        let indexes =
            self.global_secondary_indexes.iter().map(|index| index.provisioned_throughput.is_some());
        let mut given = indexes.chain([self.provisioned_throughput.is_some()]);
        match self.billing_mode.as_deref() {
            Some("PAY_PER_REQUEST") if given.any(|is_given| is_given) => Err(invalid_value(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            )),
            None | Some("PROVISIONED") if !given.all(|is_given| is_given) => Err(invalid_value(
                "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
            )),
            None | Some("PROVISIONED" | "PAY_PER_REQUEST") => Ok(()),
            Some(other) => {
                let allowed = "Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]";
                Err(constraint(other, "billingMode", allowed))
            }
        }
    }

    /// Returns the constant part of a description.
    fn description(&self, scope: &AwsScope, now: Timestamp) -> Value {
        let arn = scope.arn("dynamodb", &format!("table/{}", self.table_name));
        let mut about = json!({
            "TableName": self.table_name,
            "TableArn": arn,
            "TableId": uuid::Uuid::new_v4().to_string(),
            "CreationDateTime": seconds(now),
            "AttributeDefinitions": self.attribute_definitions,
            "KeySchema": self.key_schema,
            "ProvisionedThroughput": self.provisioned_throughput.unwrap_or_default().to_json(),
            "TableSizeBytes": 0,
        });
        if self.billing_mode.as_deref() == Some("PAY_PER_REQUEST") {
            about["BillingModeSummary"] = json!({ "BillingMode": "PAY_PER_REQUEST" });
        }
        let indexes = self.global_secondary_indexes.iter().map(|index| {
            json!({
                "IndexName": index.index_name,
                "IndexArn": format!("{arn}/index/{}", index.index_name),
                "KeySchema": index.key_schema,
                "Projection": index.projection,
                "ProvisionedThroughput": index.provisioned_throughput.unwrap_or_default().to_json(),
                "IndexSizeBytes": 0,
                "ItemCount": 0,
            })
        });
        let indexes: Vec<Value> = indexes.collect();
        if !indexes.is_empty() {
            about["GlobalSecondaryIndexes"] = indexes.into();
        }
        about
    }
}

impl ProjectionSent {
    fn read(&self) -> Result<Projection, Failure> {
        match (self.projection_type.as_str(), &self.non_key_attributes) {
            ("ALL", None) => Ok(Projection::All),
            ("KEYS_ONLY", None) => Ok(Projection::KeysOnly),
            ("INCLUDE", Some(names)) if !names.is_empty() => Ok(Projection::Include(names.clone())),
            ("INCLUDE", _) => {
                Err(invalid_value("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"))
            }
            ("ALL" | "KEYS_ONLY", Some(_)) => {
                let kind = &self.projection_type;
                Err(invalid_value(format!("ProjectionType is {kind}, but NonKeyAttributes is specified")))
            }
            (other, _) => {
                let allowed = "Member must satisfy enum value set: [ALL, INCLUDE, KEYS_ONLY]";
                Err(constraint(other, "projection.projectionType", allowed))
            }
        }
    }
}

/// Reads the keys of a table or an index: one `HASH`, and perhaps one `RANGE` behind it.
fn schema(elements: &[Element], definitions: &[Definition]) -> Result<Schema, Failure> {
    let types: BTreeMap<&str, KeyType> =
        definitions.iter().map(|one| (one.attribute_name.as_str(), one.attribute_type)).collect();
    let typed = |element: &Element| {
        let name = element.attribute_name.clone();
        match types.get(name.as_str()) {
            Some(kind) => Ok((name, *kind)),
            None => Err(invalid_value(format!(
                "Some index key attributes are not defined in AttributeDefinitions. Keys: [{name}]"
            ))),
        }
    };
    match elements {
        [hash] if hash.key_type == Role::Hash => Ok(Schema { hash: typed(hash)?, range: None }),
        [hash, range]
            if hash.key_type == Role::Hash
                && range.key_type == Role::Range
                && hash.attribute_name != range.attribute_name =>
        {
            Ok(Schema { hash: typed(hash)?, range: Some(typed(range)?) })
        }
        _ => Err(invalid(
            "Invalid KeySchema: the first element must be a HASH key, and a second one another attribute as RANGE key",
        )),
    }
}

fn check_name(name: &str, member: &str) -> Result<(), Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if (3..=255).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let message =
        "Member must have length between 3 and 255 and satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
    Err(constraint(name, member, message))
}
