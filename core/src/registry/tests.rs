use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::trigger::{EvalContext, Evaluation, TriggerError};

#[derive(Debug)]
struct Always;

#[async_trait]
impl Trigger for Always {
    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        Ok(Evaluation::floor("always"))
    }
}

/// Fires always.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AlwaysConfig {
    #[serde(default)]
    inner: Vec<Value>,
    #[expect(dead_code, reason = "only its type is checked")]
    #[serde(default)]
    weight: u32,
}

struct AlwaysType;

impl TriggerType for AlwaysType {
    const KIND: &'static str = "always";
    const SUMMARY: &'static str = "fires at every tick";
    type Config = AlwaysConfig;

    fn build(&self, config: AlwaysConfig, cx: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        for (index, spec) in config.inner.iter().enumerate() {
            cx.nested(spec).map_err(|error| error.under(&format!("/inner/{index}")))?;
        }
        Ok(Arc::new(Always))
    }
}

fn build(spec: &Value) -> Result<Arc<dyn Trigger>, ConfigError> {
    let mut registry = TriggerRegistry::new();
    registry.add(AlwaysType).unwrap();
    registry.build(spec, &BuildContext::new(&registry, "UTC", Scaling::default()))
}

#[test]
fn a_known_type_is_built() {
    assert!(build(&json!({"type": "always", "inner": [{"type": "always"}]})).is_ok());
}

#[test]
fn an_unknown_type_error_lists_known_types_and_the_nearest() {
    let error = build(&json!({"type": "allways"})).unwrap_err();
    assert_eq!(error.pointer, "/type");
    assert_eq!(
        error.message,
        "unknown trigger type \"allways\"; installed are always (did you mean \"always\"?)"
    );
}

#[test]
fn a_nested_error_has_the_full_pointer() {
    let spec = json!({"type": "always", "inner": [{"type": "always"}, {"type": "always", "weight": "x"}]});
    assert_eq!(build(&spec).unwrap_err().pointer, "/inner/1/weight");
}

#[test]
fn too_deeply_nested_triggers_are_rejected() {
    let mut spec = json!({"type": "always"});
    for _ in 0..MAX_DEPTH {
        spec = json!({"type": "always", "inner": [spec]});
    }
    assert!(build(&spec).unwrap_err().message.contains("8 deep"));
}

#[test]
fn a_type_cannot_be_installed_twice() {
    let mut registry = TriggerRegistry::new();
    registry.add(AlwaysType).unwrap();
    assert!(registry.add(AlwaysType).is_err());
}
