//! Crontab lines that versions before the crontab rule read in another way: they counted weekdays from 1 = Sunday in five fields too,
//! and either day field was enough.

use super::cron::{self, Grammar};
use super::describe;
use super::spec::Spelling;

#[cfg(test)]
mod tests;

/// Describes how the days of an expression have changed; `None` if they are the same, or if those versions refused it.
pub(super) fn describe_change(text: &str) -> Option<String> {
    let Spelling::Cron(body) = Spelling::detect(text) else { return None };
    let line = cron::parse(body, |_, _, _| {}).ok().filter(|line| line.grammar == Grammar::Crontab)?;
    let mut changes = Vec::new();
    if let Some(word) = line.numbered_weekday() {
        let before = weekdays(&format!("0 0 ? * {word} *"))?;
        let now = weekdays(&format!("0 0 * * {word}"))?;
        if before != now {
            changes.push(format!("weekday `{word}` is {now}, and was {before}"));
        }
    }
    if line.restricts_both_days() && !line.either_day_matches() {
        changes.push("both day fields must match, and one was enough".to_owned());
    }
    (!changes.is_empty()).then(|| format!("`{text}`: {}", changes.join("; ")))
}

/// Names the weekdays of the content of the parentheses, whose other fields name every day.
fn weekdays(body: &str) -> Option<String> {
    cron::parse(body, |_, _, _| {}).ok()?;
    let named = describe::expression(&format!("cron({body})"), None);
    Some(named.strip_prefix("At 00:00 on ").unwrap_or("every day").to_owned())
}
