//! Lists of decisions and firings from a running server, with their filters.

use clap::Args;
use serde_json::Value;

use crate::client::{Client, escape};
use crate::error::CommandError;

/// Filters of a list of the history.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HistoryFilter {
    /// Only entries with this outcome
    #[arg(long)]
    pub(super) outcome: Option<String>,
    /// Only entries of this moment (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only entries before this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only entries of jobs that have this label now: NAME, or NAME=VALUE
    #[arg(long)]
    label: Option<String>,
}

impl HistoryFilter {
    /// Tells whether entries are left out.
    pub(super) fn is_set(&self) -> bool {
        self.outcome.is_some() || self.from.is_some() || self.to.is_some() || self.label.is_some()
    }
}

/// Further filters, by parameter.
pub(super) type MoreFilters<'a> = [(&'static str, Option<&'a str>)];

/// Reads the newest `limit` entries that pass. A page of a filtered list may be short or empty although more pages follow, so it reads on
/// until the list ends.
///
/// # Errors
///
/// Fails when the server cannot be reached or refuses.
pub(super) async fn read(
    client: &Client,
    path: &str,
    name: &str,
    limit: u32,
    filter: &HistoryFilter,
    more: &MoreFilters<'_>,
) -> Result<Value, CommandError> {
    let HistoryFilter { outcome, from, to, label } = filter;
    let own = [("outcome", outcome), ("from", from), ("to", to), ("label", label)];
    let own = own.map(|(name, value)| (name, value.as_deref()));
    let parameters = own.iter().chain(more).filter_map(|(name, value)| Some((name, (*value)?)));
    let query: String = parameters.map(|(name, value)| format!("&{name}={}", escape(value))).collect();
    let mut answer = client.get(&format!("{path}?limit={limit}{query}")).await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    while !query.is_empty() && answer[name].as_array().map_or(0, Vec::len) < most {
        let Some(next) = answer["next"].as_str() else { break };
        let mut page = client.get(next).await?;
        if let (Some(entries), Some(more)) = (answer[name].as_array_mut(), page[name].as_array_mut()) {
            entries.append(more);
            entries.truncate(most);
        }
        answer["next"] = page["next"].take();
    }
    Ok(answer)
}
