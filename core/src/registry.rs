//! The registry of trigger types, and how JSON becomes a trigger.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use crate::config_error::ConfigError;
use crate::scaling::Scaling;
use crate::schedule::Schedule;
use crate::text::describe_types;
use crate::trigger::Trigger;

#[cfg(test)]
mod tests;

/// The maximum nesting depth of triggers.
pub const MAX_DEPTH: usize = 8;

/// Deserializes a configuration object; errors carry the JSON pointer of the invalid field.
///
/// # Errors
///
/// Fails as the type's `Deserialize` does.
pub fn read_config<T: DeserializeOwned>(config: Map<String, Value>) -> Result<T, ConfigError> {
    use serde_path_to_error::Segment;
    serde_path_to_error::deserialize(Value::Object(config)).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                Segment::Map { key } | Segment::Enum { variant: key } => {
                    pointer.push('/');
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
                Segment::Unknown => {}
            }
        }
        ConfigError::at(pointer, describe_types(&error.into_inner().to_string()))
    })
}

/// Remarks that triggers make about their job while they are built.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildRemarks {
    /// Schedules that a trigger consults and that are not among the job's ticks.
    pub(crate) consulted: Vec<Schedule>,
    /// The reason why a mode that counts a queue is probably a mistake.
    pub(crate) against_queue_modes: Vec<String>,
}

/// The context in which a trigger is built: facts about its job, and the way to build nested triggers.
#[derive(Debug, Clone, Copy)]
pub struct BuildContext<'a> {
    registry: &'a TriggerRegistry,
    depth: usize,
    /// The job's time zone, the default for a trigger with a schedule.
    pub timezone: &'a str,
    /// The job's bounds.
    pub scaling: Scaling,
    remarks: Option<&'a Mutex<BuildRemarks>>,
}

impl<'a> BuildContext<'a> {
    /// Makes the context of a job's outermost trigger.
    #[must_use]
    pub fn new(registry: &'a TriggerRegistry, timezone: &'a str, scaling: Scaling) -> Self {
        Self { registry, depth: 0, timezone, scaling, remarks: None }
    }

    /// Collects the remarks of triggers.
    pub(crate) fn with_remarks(self, remarks: &'a Mutex<BuildRemarks>) -> Self {
        Self { remarks: Some(remarks), ..self }
    }

    /// Registers a schedule that the trigger consults beside its [ticks](Trigger::schedule), so that the schedule's
    /// warnings are shown when the job is written.
    pub fn add_consulted_schedule(&self, schedule: &Schedule) {
        if let Some(remarks) = self.remarks {
            remarks.lock().consulted.push(schedule.clone());
        }
    }

    /// Registers a reason why the modes `oneShot` and `drain` are probably a mistake with this trigger: a warning if
    /// the job uses one of them.
    pub fn warn_against_queue_modes(&self, why: impl Into<String>) {
        if let Some(remarks) = self.remarks {
            remarks.lock().against_queue_modes.push(why.into());
        }
    }

    /// Builds a nested trigger. Prefix the pointer of its error: `error.under("/of/0")`.
    ///
    /// # Errors
    ///
    /// Fails when the specification is invalid, or nested more than [`MAX_DEPTH`] deep.
    pub fn nested(&self, spec: &Value) -> Result<Arc<dyn Trigger>, ConfigError> {
        if self.depth + 1 >= MAX_DEPTH {
            return Err(ConfigError::new(format!("triggers may be nested at most {MAX_DEPTH} deep")));
        }
        self.registry.build(spec, &Self { depth: self.depth + 1, ..*self })
    }
}

/// A type of trigger: its name, configuration and constructor. Implement it to add one.
pub trait TriggerType: Send + Sync + 'static {
    /// The `type` in JSON, in lower case: `sqs`.
    const KIND: &'static str;
    /// A one-line summary for lists.
    const SUMMARY: &'static str;
    /// The configuration: all fields of the `trigger` object but `type`. Use `#[serde(deny_unknown_fields)]`.
    type Config: DeserializeOwned + JsonSchema + Send;

    /// Makes a trigger.
    ///
    /// # Errors
    ///
    /// Fails with the pointer of the invalid field and the values allowed there.
    fn build(&self, config: Self::Config, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError>;
}

/// The object-safe form of [`TriggerType`]. Implemented for every `TriggerType`.
pub trait TriggerFactory: Send + Sync + 'static {
    /// Returns the `type` in JSON.
    fn kind(&self) -> &'static str;
    /// Returns the summary for lists.
    fn summary(&self) -> &'static str;
    /// Returns the JSON schema of the configuration, without `type`.
    fn schema(&self) -> Value;
    /// Makes a trigger from a `trigger` object without its `type`.
    ///
    /// # Errors
    ///
    /// Fails with the pointer of the invalid field and the values allowed there.
    fn build_value(
        &self,
        config: Map<String, Value>,
        cx: &BuildContext<'_>,
    ) -> Result<Arc<dyn Trigger>, ConfigError>;
}

impl<T: TriggerType> TriggerFactory for T {
    fn kind(&self) -> &'static str {
        T::KIND
    }

    fn summary(&self) -> &'static str {
        T::SUMMARY
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(T::Config).to_value()
    }

    fn build_value(
        &self,
        config: Map<String, Value>,
        cx: &BuildContext<'_>,
    ) -> Result<Arc<dyn Trigger>, ConfigError> {
        self.build(read_config(config)?, cx)
    }
}

/// The installed types of trigger.
#[derive(Default, Clone)]
pub struct TriggerRegistry {
    kinds: BTreeMap<&'static str, Arc<dyn TriggerFactory>>,
}

impl fmt::Debug for TriggerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}

impl TriggerRegistry {
    /// Makes an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a type.
    ///
    /// # Errors
    ///
    /// Fails when a type of the same name is installed already.
    pub fn add<T: TriggerType>(&mut self, kind: T) -> Result<(), ConfigError> {
        if self.kinds.contains_key(T::KIND) {
            return Err(ConfigError::new(format!("trigger type \"{}\" is installed twice", T::KIND)));
        }
        self.kinds.insert(T::KIND, Arc::new(kind));
        Ok(())
    }

    /// Returns the installed types in alphabetical order.
    pub fn kinds(&self) -> impl Iterator<Item = &dyn TriggerFactory> {
        self.kinds.values().map(AsRef::as_ref)
    }

    /// Builds a trigger from a `trigger` object of a job.
    ///
    /// # Errors
    ///
    /// Fails when `type` is missing or unknown, naming the installed types and the nearest one, and when the
    /// configuration is invalid.
    pub fn build(&self, spec: &Value, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let Value::Object(fields) = spec else {
            return Err(ConfigError::new("a trigger is an object with a `type`"));
        };
        let mut fields = fields.clone();
        let kind = match fields.remove("type") {
            Some(Value::String(kind)) => kind,
            Some(_) => return Err(ConfigError::at("/type", "Not a valid string.")),
            None => return Err(ConfigError::at("/type", "Missing data for required field.")),
        };
        match self.kinds.get(kind.as_str()) {
            Some(factory) => factory.build_value(fields, cx),
            None => Err(ConfigError::at("/type", self.unknown(&kind))),
        }
    }

    fn unknown(&self, kind: &str) -> String {
        let known: Vec<&str> = self.kinds.keys().copied().collect();
        let mut text = format!("unknown trigger type \"{kind}\"; installed are {}", known.join(", "));
        let nearest = known
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(a, kind).total_cmp(&strsim::jaro_winkler(b, kind)));
        if let Some(nearest) = nearest.filter(|near| strsim::jaro_winkler(near, kind) > 0.7) {
            text.push_str(&format!(" (did you mean \"{nearest}\"?)"));
        }
        text
    }
}
