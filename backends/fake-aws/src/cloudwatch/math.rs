//! Metric math: `+ - * /`, numbers, ids, `SUM MAX MIN AVG`, `METRICS()`, `FILL`.
//!
//! # Source
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html>

use std::collections::BTreeMap;

use super::data::Series;

/// What an expression, or a part of it, is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Scalar(f64),
    One(Series),
    Many(Vec<Series>),
}

/// What an expression may refer to.
pub(crate) trait Scope {
    /// Returns what an id stands for.
    fn lookup(&self, id: &str) -> Result<Term, String>;
    /// Returns all metrics of the call.
    fn metrics(&self) -> Vec<Series>;
    /// Returns the beginnings of all periods that were asked for.
    fn periods(&self) -> Vec<i64>;
}

/// Works an expression out.
pub(crate) fn evaluate(text: &str, scope: &dyn Scope) -> Result<Term, String> {
    let mut reader = Reader { rest: text.trim(), scope };
    let term = reader.sum()?;
    if reader.rest.is_empty() { Ok(term) } else { Err(format!("unexpected \"{}\"", reader.rest)) }
}

struct Reader<'a> {
    rest: &'a str,
    scope: &'a dyn Scope,
}

impl<'a> Reader<'a> {
    /// Takes a character when it comes next.
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

    /// Takes the longest beginning of which all characters are of a kind.
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
            match self.sum()? {
                Term::One(series) => all.push(series),
                Term::Many(more) => all.extend(more),
                Term::Scalar(_) => return Err("a list holds time series only".to_owned()),
            }
            if !self.take(',') {
                self.expect(']')?;
                return Ok(Term::Many(all));
            }
        }
    }

    fn function(&mut self, name: &str) -> Result<Term, String> {
        if name == "METRICS" {
            self.expect(')')?;
            return Ok(Term::Many(self.scope.metrics()));
        }
        let argument = self.sum()?;
        let result = match name {
            "SUM" => reduce(argument, |values| values.iter().sum()),
            "MAX" => reduce(argument, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
            "MIN" => reduce(argument, |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
            "AVG" => reduce(argument, average),
            "FILL" => {
                self.expect(',')?;
                let filler = self.sum()?;
                fill(argument, filler, &self.scope.periods())
            }
            _ => Err(format!("the fake has no function {name}")),
        }?;
        self.expect(')')?;
        Ok(result)
    }
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
            for (at, value) in all.into_iter().flatten() {
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
        Term::Many(all) => Ok(Term::Many(all.into_iter().map(filled).collect())),
    }
}

/// Applies an operator; of two series only the moments that both have are left, and no division by zero.
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
            Term::Many(all.into_iter().map(|series| mapped(series, &|value| by(value, b))).collect())
        }
        (Term::Many(_), _) | (_, Term::Many(_)) => {
            return Err("a list can be combined with a number only".to_owned());
        }
    })
}

#[cfg(test)]
mod tests;
