//! Metric math: `+ - * /`, numbers, ids, lists, `SUM MAX MIN AVG`, `METRICS()`, `SEARCH`, `FILL`, `ANOMALY_DETECTION_BAND`.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html>

use std::collections::BTreeMap;

use super::data::Series;

/// Standard deviations on each side of a band, unless the expression gives another number.
const BAND_DEVIATIONS: f64 = 2.0;

/// The value of an expression or of a part of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Scalar(f64),
    One(Series),
    Many(Vec<Named>),
}

/// One of several time series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    pub(crate) label: String,
    pub(crate) points: Series,
}

impl Named {
    fn map(self, by: impl FnOnce(Series) -> Series) -> Self {
        Self { label: self.label, points: by(self.points) }
    }
}

/// The names that an expression may refer to.
pub(crate) trait Scope {
    /// Returns the value of an id.
    fn lookup(&self, id: &str) -> Result<Term, String>;
    /// Returns the metrics of the call whose ids have this part.
    fn metrics(&self, part: &str) -> Vec<Named>;
    /// Returns the series that a search finds, with this statistic and period.
    fn search(&self, text: &str, statistic: &str, period: f64) -> Result<Vec<Named>, String>;
    /// Returns the beginnings of all requested periods.
    fn periods(&self) -> Vec<i64>;
}

/// Evaluates an expression.
pub(crate) fn evaluate(text: &str, scope: &dyn Scope) -> Result<Term, String> {
    let mut reader = ExprParser { rest: text.trim(), scope };
    let term = reader.sum()?;
    if reader.rest.is_empty() { Ok(term) } else { Err(format!("unexpected \"{}\"", reader.rest)) }
}

struct ExprParser<'a> {
    rest: &'a str,
    scope: &'a dyn Scope,
}

impl<'a> ExprParser<'a> {
    /// Consumes a character if it comes next.
    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        if let Some(rest) = rest {
            self.rest = rest.trim_start();
        }
        rest.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) { Ok(()) } else { Err(format!("missing \"{wanted}\" before \"{}\"", self.rest)) }
    }

    /// Consumes the longest prefix whose characters are all of a kind.
    fn word(&mut self, kind: fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !kind(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn sum(&mut self) -> Result<Term, String> {
        let mut left = self.product()?;
        loop {
            if self.take('+') {
                left = combine(left, self.product()?, |a, b| a + b)?;
            } else if self.take('-') {
                left = combine(left, self.product()?, |a, b| a - b)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<Term, String> {
        let mut left = self.factor()?;
        loop {
            if self.take('*') {
                left = combine(left, self.factor()?, |a, b| a * b)?;
            } else if self.take('/') {
                left = combine(left, self.factor()?, |a, b| a / b)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn factor(&mut self) -> Result<Term, String> {
        if self.take('-') {
            return combine(Term::Scalar(0.0), self.factor()?, |a, b| a - b);
        }
        if self.take('(') {
            let inner = self.sum()?;
            self.expect(')')?;
            return Ok(inner);
        }
        if self.take('[') {
            return self.list();
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            let digits = self.word(|c| c.is_ascii_digit() || c == '.');
            return digits.parse().map(Term::Scalar).map_err(|_| format!("\"{digits}\" is no number"));
        }
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() {
            return Err(format!("unexpected \"{}\"", self.rest));
        }
        if self.take('(') { self.function(name) } else { self.scope.lookup(name) }
    }

    fn list(&mut self) -> Result<Term, String> {
        let mut all = Vec::new();
        loop {
            let before = self.rest;
            let item = self.sum()?;
            let label = before[..before.len() - self.rest.len()].trim().to_owned();
            match item {
                Term::One(points) => all.push(Named { label, points }),
                Term::Many(more) => all.extend(more),
                Term::Scalar(_) => return Err("a list holds time series only".to_owned()),
            }
            if !self.take(',') {
                self.expect(']')?;
                return Ok(Term::Many(all));
            }
        }
    }

    /// Consumes a text in quotes of either kind.
    fn text(&mut self) -> Option<&'a str> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (text, rest) = self.rest[1..].split_once(quote)?;
        self.rest = rest.trim_start();
        Some(text)
    }

    fn function(&mut self, name: &str) -> Result<Term, String> {
        let result = match name {
            "METRICS" => Ok(Term::Many(self.scope.metrics(self.text().unwrap_or_default()))),
            "SEARCH" => self.search(),
            "ANOMALY_DETECTION_BAND" => {
                let Term::One(series) = self.sum()? else {
                    return Err("a band is that of one metric".to_owned());
                };
                let width = if self.take(',') { self.sum()? } else { Term::Scalar(BAND_DEVIATIONS) };
                let Term::Scalar(width) = width else {
                    return Err("the width of a band is a number".to_owned());
                };
                Ok(Term::Many(anomaly_bounds(&series, width)))
            }
            "SUM" => reduce(self.sum()?, |values| values.iter().sum()),
            "MAX" => reduce(self.sum()?, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            "MIN" => reduce(self.sum()?, |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
            "AVG" => reduce(self.sum()?, average),
            "FILL" => {
                let argument = self.sum()?;
                self.expect(',')?;
                let filler = self.sum()?;
                fill(argument, filler, &self.scope.periods())
            }
            _ => Err(format!("the fake has no function {name}")),
        }?;
        self.expect(')')?;
        Ok(result)
    }

    fn search(&mut self) -> Result<Term, String> {
        let text = self.text().ok_or("SEARCH takes a text first")?;
        self.expect(',')?;
        let statistic = self.text().ok_or("SEARCH takes a statistic as its second argument")?;
        self.expect(',')?;
        let Term::Scalar(period) = self.sum()? else {
            return Err("SEARCH takes a period as its third argument".to_owned());
        };
        self.scope.search(text, statistic, period).map(Term::Many)
    }
}

/// Returns the upper and the lower bound of the expected values: for each moment the mean of all, plus and minus this
/// many standard deviations.
fn anomaly_bounds(series: &Series, width: f64) -> Vec<Named> {
    let values: Vec<f64> = series.values().copied().collect();
    let mean = average(&values);
    let squares: Vec<f64> = values.iter().map(|value| (value - mean).powi(2)).collect();
    let away = width * average(&squares).sqrt();
    let bound = |at: f64| Named {
        label: "ANOMALY_DETECTION_BAND".to_owned(),
        points: series.keys().map(|second| (*second, at)).collect(),
    };
    vec![bound(mean + away), bound(mean - away)]
}

fn average(values: &[f64]) -> f64 {
    let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
    values.iter().sum::<f64>() / f64::from(count)
}

/// Makes one number of a series, or one series of many.
fn reduce(term: Term, by: impl Fn(&[f64]) -> f64) -> Result<Term, String> {
    match term {
        Term::Scalar(_) => Err("the function takes time series".to_owned()),
        Term::One(series) => {
            let values: Vec<f64> = series.into_values().collect();
            Ok(Term::Scalar(if values.is_empty() { 0.0 } else { by(&values) }))
        }
        Term::Many(all) => {
            let mut columns: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (at, value) in all.into_iter().flat_map(|one| one.points) {
                columns.entry(at).or_default().push(value);
            }
            Ok(Term::One(columns.into_iter().map(|(at, values)| (at, by(&values))).collect()))
        }
    }
}

fn fill(term: Term, filler: Term, periods: &[i64]) -> Result<Term, String> {
    let Term::Scalar(value) = filler else {
        return Err("FILL takes a number as its second argument".to_owned());
    };
    let filled = |series: Series| -> Series {
        let mut all: Series = periods.iter().map(|at| (*at, value)).collect();
        all.extend(series);
        all
    };
    match term {
        Term::Scalar(_) => Err("FILL takes time series".to_owned()),
        Term::One(series) => Ok(Term::One(filled(series))),
        Term::Many(all) => Ok(Term::Many(all.into_iter().map(|one| one.map(filled)).collect())),
    }
}

/// Applies an operator. For two series, only moments that both have remain, without divisions by zero.
fn combine(left: Term, right: Term, by: impl Fn(f64, f64) -> f64) -> Result<Term, String> {
    let finite =
        |series: Series| -> Series { series.into_iter().filter(|(_, value)| value.is_finite()).collect() };
    let mapped = |series: Series, with: &dyn Fn(f64) -> f64| -> Series {
        finite(series.into_iter().map(|(at, value)| (at, with(value))).collect())
    };
    Ok(match (left, right) {
        (Term::Scalar(a), Term::Scalar(b)) => Term::Scalar(by(a, b)),
        (Term::One(a), Term::Scalar(b)) => Term::One(mapped(a, &|value| by(value, b))),
        (Term::Scalar(a), Term::One(b)) => Term::One(mapped(b, &|value| by(a, value))),
        (Term::One(a), Term::One(b)) => {
            let both =
                a.into_iter().filter_map(|(at, value)| b.get(&at).map(|other| (at, by(value, *other))));
            Term::One(finite(both.collect()))
        }
        (Term::Many(all), Term::Scalar(b)) => {
            let all = all.into_iter().map(|one| one.map(|series| mapped(series, &|value| by(value, b))));
            Term::Many(all.collect())
        }
        (Term::Many(_), _) | (_, Term::Many(_)) => {
            return Err("a list can be combined with a number only".to_owned());
        }
    })
}

#[cfg(test)]
mod tests;
