//! Load spreading: `?` in a schedule and `jitter`, both derived from the job's id and the same on every host.
//!
//! The values are visible to users: a job must keep its second, minute and hour across versions. A random value, as in the
//! Python version, would change with every edit.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use super::field::{FIELDS, HOUR};
use super::fields::words;
use super::spec::Spelling;
use crate::hash::{scale, stable};

/// A placeholder job name for schedules without a job: `?` resolves by the job's name.
pub const PLACEHOLDER_JOB: &str = "preview";

/// Tells whether an expression has a `?` that [`resolve_wildcards`] would replace.
pub fn is_wild(expression: &str) -> bool {
    wildcards(expression).next().is_some()
}

/// Replaces `?` in the second, minute and hour of an eight-field expression by values derived from the job's id.
///
/// The same job gets the same values anywhere, and jobs spread evenly over the range. Only the text of the `?`
/// changes; other spellings are returned as they are, since `?` means something else in `cron(…)`.
///
/// # Example
/// ```
/// use ecs_scheduler_core::schedule::resolve_wildcards;
///
/// let resolved = resolve_wildcards("0 ? ?  mon-fri", "nightly-report");
/// assert!(resolved.starts_with("0 ") && resolved.ends_with("  mon-fri") && !resolved.contains('?'));
/// assert_eq!(resolved, resolve_wildcards("0 ? ?  mon-fri", "nightly-report"));
/// ```
pub fn resolve_wildcards<'a>(expression: &'a str, job_id: &str) -> Cow<'a, str> {
    let mut resolved = String::new();
    let mut copied = 0;
    for (field, start) in wildcards(expression) {
        let range = u64::from(FIELDS[field].max) + 1;
        let value = scale(stable(&[FIELDS[field].name.as_bytes(), job_id.as_bytes()]), range);
        resolved.push_str(&expression[copied..start]);
        resolved.push_str(&value.to_string());
        copied = start + 1;
    }
    if copied == 0 {
        return Cow::Borrowed(expression);
    }
    resolved.push_str(&expression[copied..]);
    Cow::Owned(resolved)
}

/// Returns the delay of a tick, 0 to `max` in whole milliseconds, derived from the job's id and the tick.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use ecs_scheduler_core::schedule::jitter;
///
/// let tick = "2027-03-01T09:00:00Z".parse()?;
/// let delay = jitter("nightly-report", tick, Duration::from_secs(30));
/// assert!(delay <= Duration::from_secs(30));
/// assert_eq!(delay, jitter("nightly-report", tick, Duration::from_secs(30)));
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn jitter(job_id: &str, tick: Timestamp, max: Duration) -> Duration {
    let choices = u64::try_from(max.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    let hash = stable(&[b"jitter", job_id.as_bytes(), &tick.as_nanosecond().to_be_bytes()]);
    Duration::from_millis(scale(hash, choices))
}

/// Returns the fields and byte positions of the wildcards.
fn wildcards(expression: &str) -> impl Iterator<Item = (usize, usize)> {
    let text = if matches!(Spelling::detect(expression), Spelling::Fields(_)) { expression } else { "" };
    let fields = words(text).take(HOUR + 1).enumerate();
    fields.filter(|(_, (_, word))| *word == "?").map(|(field, (start, _))| (field, start))
}

#[cfg(test)]
mod tests;
