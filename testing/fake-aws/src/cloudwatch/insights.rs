//! Metrics Insights: `SELECT … FROM … WHERE … GROUP BY … ORDER BY … LIMIT …`.
//!
//! Conditions are `=` and `!=`, joined by AND. Tags are not faked.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html>

use std::collections::BTreeSet;

use super::Metric;
use super::data::{Series, Statistic};

/// The functions of a query, and the statistics that they stand for.
const FUNCTIONS: [(&str, Statistic); 5] = [
    ("AVG", Statistic::Average),
    ("COUNT", Statistic::SampleCount),
    ("MAX", Statistic::Maximum),
    ("MIN", Statistic::Minimum),
    ("SUM", Statistic::Sum),
];

/// A query.
#[derive(Debug, PartialEq)]
pub(crate) struct Insights {
    pub(crate) statistic: Statistic,
    metric: String,
    namespace: String,
    /// The names of all dimensions, where `SCHEMA` names them.
    schema: Option<BTreeSet<String>>,
    /// A dimension, whether it must have this value or must not, and the value.
    conditions: Vec<(String, bool, String)>,
    group_by: Vec<String>,
    /// The order of the groups, and whether the largest is first.
    order: Option<(Statistic, bool)>,
    limit: Option<usize>,
}

/// Tells whether an expression is a query.
pub(crate) fn is_query(expression: &str) -> bool {
    expression.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case("SELECT"))
}

impl Insights {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut words = TokenReader { rest: text.trim() };
        words.expect("SELECT")?;
        let statistic = words.function()?;
        words.expect("(")?;
        let metric = words.name()?;
        words.expect(")")?;
        words.expect("FROM")?;
        let (namespace, schema) = if words.take("SCHEMA") {
            words.expect("(")?;
            let namespace = words.name()?;
            let mut names = BTreeSet::new();
            while words.take(",") {
                names.insert(words.name()?);
            }
            words.expect(")")?;
            (namespace, Some(names))
        } else {
            (words.name()?, None)
        };
        let mut query = Self {
            statistic,
            metric,
            namespace,
            schema,
            conditions: Vec::new(),
            group_by: Vec::new(),
            order: None,
            limit: None,
        };
        query.clauses(&mut words)?;
        if words.rest.is_empty() { Ok(query) } else { Err(format!("unexpected \"{}\"", words.rest)) }
    }

    fn clauses(&mut self, words: &mut TokenReader<'_>) -> Result<(), String> {
        if words.take("WHERE") {
            loop {
                let name = words.name()?;
                let is = !words.take("!=");
                if is {
                    words.expect("=")?;
                }
                self.conditions.push((name, is, words.name()?));
                if !words.take("AND") {
                    break;
                }
            }
        }
        if words.take("GROUP") {
            words.expect("BY")?;
            self.group_by.push(words.name()?);
            while words.take(",") {
                self.group_by.push(words.name()?);
            }
        }
        if words.take("ORDER") {
            words.expect("BY")?;
            let by = words.function()?;
            words.expect("(")?;
            words.expect(")")?;
            let descending = words.take("DESC");
            let _ = !descending && words.take("ASC");
            self.order = Some((by, descending));
        }
        if words.take("LIMIT") {
            let limit = words.name()?;
            let limit: usize = limit.parse().map_err(|_| format!("\"{limit}\" is no limit"))?;
            self.limit = (1..=500).contains(&limit).then_some(limit);
            self.limit.ok_or("LIMIT must be 1 to 500")?;
        }
        Ok(())
    }

    /// Returns the label of the group to which a metric belongs, if the query is about it.
    pub(crate) fn group(&self, metric: &Metric) -> Option<String> {
        let value = |name: &str| {
            let dimension = metric.dimensions.iter().find(|dimension| dimension.name == name);
            dimension.map(|dimension| dimension.value.as_str())
        };
        let names = metric.dimensions.iter().map(|dimension| &dimension.name);
        let is_meant = metric.name == self.metric
            && metric.namespace == self.namespace
            && self.schema.as_ref().is_none_or(|schema| schema.iter().eq(names))
            && self.conditions.iter().all(|(name, is, wanted)| (value(name) == Some(wanted)) == *is);
        if !is_meant {
            return None;
        }
        if self.group_by.is_empty() {
            return Some(self.metric.clone());
        }
        let values: Option<Vec<&str>> = self.group_by.iter().map(|name| value(name)).collect();
        Some(values?.join(" "))
    }

    /// Orders groups and drops those beyond the limit.
    pub(crate) fn arrange<T>(&self, groups: &mut Vec<T>, points: impl Fn(&T) -> &Series) {
        if let Some((by, descending)) = self.order {
            let rank = |group: &T| {
                let values = points(group).values().copied();
                let samples: Vec<_> = values.map(super::data::Sample::once).collect();
                by.compute(&samples).unwrap_or(f64::NEG_INFINITY)
            };
            groups.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
            if descending {
                groups.reverse();
            }
        }
        groups.truncate(self.limit.unwrap_or(usize::MAX));
    }
}

/// A reader of a query's tokens.
struct TokenReader<'a> {
    rest: &'a str,
}

impl TokenReader<'_> {
    /// Consumes a word or sign if it comes next.
    fn take(&mut self, wanted: &str) -> bool {
        let is_word = wanted.starts_with(|c: char| c.is_ascii_alphabetic());
        let rest = self.rest.get(..wanted.len()).filter(|next| next.eq_ignore_ascii_case(wanted));
        let rest = rest.and_then(|_| self.rest.get(wanted.len()..));
        let rest = rest
            .filter(|rest| !is_word || !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
        if let Some(rest) = rest {
            self.rest = rest.trim_start();
        }
        rest.is_some()
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.take(wanted) { Ok(()) } else { Err(format!("missing {wanted} before \"{}\"", self.rest)) }
    }

    /// Consumes a name, or a quoted text.
    fn name(&mut self) -> Result<String, String> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (name, rest) = match quote {
            Some(quote) => self.rest[1..].split_once(quote).ok_or("a quote is not closed")?,
            None => {
                let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                self.rest.split_at(end.unwrap_or(self.rest.len()))
            }
        };
        if name.is_empty() {
            return Err(format!("a name is missing before \"{}\"", self.rest));
        }
        self.rest = rest.trim_start();
        Ok(name.to_owned())
    }

    fn function(&mut self) -> Result<Statistic, String> {
        let known = FUNCTIONS.iter().find(|(name, _)| self.take(name));
        known.map(|(_, statistic)| *statistic).ok_or_else(|| format!("unknown function \"{}\"", self.rest))
    }
}
