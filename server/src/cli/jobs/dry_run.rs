//! Dry runs of writes, for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::show::{self, list};
use crate::output::printable;
use crate::output::table::cell;

#[cfg(test)]
mod tests;

/// Shows the effect of a write: the differences, the next ticks, the decision, and warnings.
pub(super) fn describe(answer: &Value) -> String {
    let id = cell(&answer["id"]);
    let mut text = match answer["effect"].as_str() {
        Some("create") => format!("would create {id}\n"),
        Some("none") => format!("{id} would stay as it is\n"),
        _ => format!("would change {id}\n"),
    };
    for difference in list(answer, "diff") {
        let _ = writeln!(text, "  {}: {}", cell(&difference["pointer"]), change(difference));
    }
    if answer["evaluation"].is_object() {
        let _ = write!(text, "a tick that is due now: {}", show::decision(&answer["evaluation"]));
    }
    text + &show::preview(answer)
}

/// Shows the value before and after.
fn change(difference: &Value) -> String {
    let shown = |name: &str| difference.get(name).map(|value| printable(&value.to_string()).into_owned());
    match (shown("before"), shown("after")) {
        (Some(before), Some(after)) => format!("{before} → {after}"),
        (Some(before), None) => format!("removed, was {before}"),
        (None, after) => format!("added {}", after.unwrap_or_default()),
    }
}
