//! Detection of other schedulers' syntax, for hints on the equivalent here.

use super::Strictness;
use super::{cron, fields};

/// A bare line as another scheduler reads it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ForeignSyntax {
    /// The other scheduler.
    pub(super) scheduler: &'static str,
    /// The expression that means the same here.
    pub(super) expression: String,
}

impl ForeignSyntax {
    /// Detects the scheduler whose syntax a line follows; `None` if there is none.
    pub(super) fn detect(words: &[&str]) -> Option<Self> {
        let of = |scheduler, body: String| {
            let is_valid = cron::compile(&body).is_ok();
            is_valid.then(|| Self { scheduler, expression: format!("cron({body})") })
        };
        match *words {
            [minute, hour, day, month, weekday] if [day, weekday].contains(&"?") => {
                // For robfig/cron, `?` and `*` in a day field are the same.
                let any = |word| if word == "?" { "*" } else { word };
                of("robfig/cron", [minute, hour, any(day), month, any(weekday)].join(" "))
            }
            [_, _, _, _, _] => of("Unix cron", words.join(" ")),
            [_, _, day, _, weekday, _] if [day, weekday].contains(&"?") => of("EventBridge", words.join(" ")),
            [_, _, _, _, _, _] | [_, _, _, _, _, _, _] => {
                // Spring has no year.
                let is_quartz = words.contains(&"?") || words.len() == 7;
                let scheduler = if is_quartz { "Quartz" } else { "Quartz or Spring" };
                match in_cron(words) {
                    Some(body) => of(scheduler, body),
                    None => in_fields(words).map(|expression| Self { scheduler, expression }),
                }
            }
            _ => None,
        }
    }

    fn hint(&self) -> String {
        format!("this looks like a line of {}: write `{}`", self.scheduler, self.expression)
    }
}

/// Returns a hint on how to write a bare line that is not valid as eight fields.
pub(super) fn hint(text: &str) -> Option<String> {
    let words: Vec<&str> = fields::words(text).map(|(_, word)| word).collect();
    ForeignSyntax::detect(&words).map(|foreign| foreign.hint())
}

/// Returns a hint on how to write Quartz's fields, which begin with the second, inside `cron(…)`.
pub(super) fn hint_in_cron(body: &str) -> Option<String> {
    let words: Vec<&str> = body.split_ascii_whitespace().collect();
    let is_quartz = matches!(*words, [_, _, _, day, _, weekday, ..] if [day, weekday].contains(&"?"));
    ForeignSyntax::detect(&words).filter(|_| is_quartz).map(|foreign| foreign.hint())
}

/// Tells whether a line of six or seven words is valid in Quartz or Spring, where the fourth word is the day, and the sixth
/// the weekday.
pub(super) fn begins_with_second(words: &[&str]) -> bool {
    let (minute, hour, day, month, weekday, year) = match *words {
        [_, minute, hour, day, month, weekday] => (minute, hour, day, month, weekday, "*"),
        [_, minute, hour, day, month, weekday, year] => (minute, hour, day, month, weekday, year),
        _ => return false,
    };
    let any = |word| if word == "?" { "*" } else { word };
    let line = [minute, hour, any(day), month, any(weekday)].join(" ");
    cron::compile(&line).is_ok() && cron::compile(&format!("0 0 1 1 ? {year}")).is_ok()
}

/// The fields of `cron(…)` for a line of Quartz or Spring that fires at second 0. Quartz counts weekdays as EventBridge
/// does, Spring, which needs no `?`, as crontab does. With a year, one of the day fields must be `?`.
fn in_cron(words: &[&str]) -> Option<String> {
    let [second, minute, hour, mut day, month, mut weekday, ref year @ ..] = *words else { return None };
    let has_mark = words.contains(&"?");
    let year = year.first().copied().or(has_mark.then_some("*"));
    match (day, weekday) {
        (_, "*") if year.is_some() && !has_mark => weekday = "?",
        ("*", _) if year.is_some() && !has_mark => day = "?",
        _ => {}
    }
    let body = [minute, hour, day, month, weekday].into_iter().chain(year).collect::<Vec<_>>().join(" ");
    (second.parse() == Ok(0)).then_some(body)
}

/// The eight fields for a line of Quartz or Spring without weekdays.
fn in_fields(words: &[&str]) -> Option<String> {
    let any = |word: &&str| ["*", "?"].contains(word);
    let [second, minute, hour, day, month, weekday, year @ ..] = words else { return None };
    let day = if any(day) { "*" } else { day };
    let year = year.first().unwrap_or(&"*");
    let eight = [second, minute, hour, "*", "*", day, month, year].join(" ");
    let expression = eight.trim_end_matches([' ', '*']).to_owned();
    (any(weekday) && fields::compile(&expression, Strictness::Strict).is_ok()).then_some(expression)
}
