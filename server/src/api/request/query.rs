//! Parameters of the query: every invalid, unknown or repeated parameter is reported.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use ecs_scheduler_core::job::{DATETIME_FORMS, NOT_A_DATETIME};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::{Map, Value};

use crate::api::problem::{Problem, WrongField};
use crate::config::nearest;

/// The maximum and the default number of entries of a page of history.
const MAX_LIMIT: u64 = 1_000;
const DEFAULT_LIMIT: u64 = 100;

/// The query of a request. Ask for each parameter, then [`Query::finish`].
#[derive(Debug, Default)]
pub(in crate::api) struct Query {
    pairs: Vec<(String, String)>,
    wrong: Vec<WrongField>,
}

impl Query {
    /// Splits a query string.
    pub(in crate::api) fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Self { pairs, wrong: Vec::new() }
    }

    /// Returns a parameter as text.
    pub(in crate::api) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns an integer of at least `least` that 63 bits can hold. Blanks around it, a `+` and leading zeros are
    /// fine.
    pub(in crate::api) fn integer(&mut self, name: &str, default: u64, least: u64) -> u64 {
        let Some(text) = self.text(name) else { return default };
        let text = text.trim();
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.refuse(name, "Not a valid integer.");
            return default;
        }
        let Some(number) = digits.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok()) else {
            self.refuse(name, "Number too large.");
            return default;
        };
        if number < least || (negative && number > 0) {
            self.refuse(name, format!("Must be at least {least}."));
            return default;
        }
        number
    }

    /// Returns an integer between two bounds.
    pub(in crate::api) fn bounded(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let number = self.integer(name, default, least);
        if number > most {
            self.refuse(name, format!("Must be between {least} and {most}."));
            return default;
        }
        number
    }

    /// Returns the page size of a history, 1…1000.
    pub(in crate::api) fn limit(&mut self) -> NonZeroUsize {
        let limit = self.bounded("limit", DEFAULT_LIMIT, 1, MAX_LIMIT);
        usize::try_from(limit).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN)
    }

    /// Returns a moment in RFC 3339.
    pub(in crate::api) fn moment(&mut self, name: &str) -> Option<Timestamp> {
        let moment = moment(self.text(name)?);
        if moment.is_none() {
            self.refuse(name, format!("{NOT_A_DATETIME} {DATETIME_FORMS}"));
        }
        moment
    }

    /// Returns whether a parameter is `true`; `false` when it is left out.
    pub(in crate::api) fn flag(&mut self, name: &str) -> bool {
        match self.text(name) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.refuse(name, "Must be true or false.");
                false
            }
        }
    }

    /// Returns one of a set of names.
    pub(in crate::api) fn choice<T: FromStr<Err = String>>(&mut self, name: &str) -> Option<T> {
        let parsed = self.text(name)?.parse();
        parsed.map_err(|message| self.refuse(name, message)).ok()
    }

    /// Refuses parameters that are not among these, and those that are given more than once.
    ///
    /// # Errors
    ///
    /// 400 with each of them, and with the nearest known one of an unknown one.
    pub(in crate::api) fn ensure_known(mut self, known: &[String]) -> Result<(), Problem> {
        let (mut names, mut repeated) = (BTreeSet::new(), BTreeSet::new());
        for (name, _) in &self.pairs {
            if !names.insert(name.clone()) && known.contains(name) {
                repeated.insert(name.clone());
            }
        }
        for name in &repeated {
            self.refuse(name, "Must be given once.");
        }
        for name in names.iter().filter(|name| !known.contains(name)) {
            let meant = nearest(&name.to_lowercase(), known.iter().map(String::as_str));
            let rest = if known.is_empty() {
                "No parameters are allowed here".to_owned()
            } else {
                format!("Known are {}", known.join(", "))
            };
            self.refuse(name, format!("Unknown parameter{meant}. {rest}."));
        }
        self.finish().map(drop)
    }

    /// Records an invalid parameter.
    pub(in crate::api) fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.wrong.push(WrongField { pointer: format!("?{name}"), message: message.into() });
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// 400 with every invalid parameter.
    pub(in crate::api) fn finish(self) -> Result<ValidQuery, Problem> {
        if self.wrong.is_empty() {
            return Ok(ValidQuery(self.pairs));
        }
        let texts = self.wrong.iter().map(|wrong| {
            let key = wrong.pointer.trim_start_matches('?').to_owned();
            (key, Value::from(vec![wrong.message.clone()]))
        });
        let messages = Value::Object(texts.collect::<Map<_, _>>());
        Err(Problem::invalid(messages, self.wrong))
    }
}

/// Reads a moment in RFC 3339; a time without an offset is UTC.
pub(in crate::api) fn moment(text: &str) -> Option<Timestamp> {
    let local = || text.parse::<DateTime>().ok().filter(|_| text.contains(':'));
    text.parse().ok().or_else(|| Offset::UTC.to_timestamp(local()?).ok())
}

/// The parameters of a valid query.
#[derive(Debug, Default)]
pub(in crate::api) struct ValidQuery(Vec<(String, String)>);

impl ValidQuery {
    /// Links to the page after the entry `last`, with the same filters.
    pub(in crate::api) fn next_link(&self, path: &str, last: &str) -> String {
        self.link(path, "after", last)
    }

    /// Links to a resource with the same parameters, except that `name` has this value.
    pub(in crate::api) fn link(&self, path: &str, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(given, _)| given != name));
        format!("{path}?{}", query.append_pair(name, value).finish())
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}
