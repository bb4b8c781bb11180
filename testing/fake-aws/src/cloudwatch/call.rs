//! The queries of one call: their references to each other, and their results.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::data::{Series, Statistic};
use super::get::{MetricStat, Query, is_period, refuse};
use super::insights::{self, Insights};
use super::math::{Named, Scope, Term, evaluate};
use super::page::QuerySeries;
use super::search::Search;
use super::settings::{CloudWatchSettings, DataStatus};
use super::{CloudWatchState, Metric};
use crate::scope::AwsScope;
use crate::wire::Failure;

/// The queries of a call, for those that refer to each other.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a CloudWatchState,
    pub(crate) scope: &'a AwsScope,
    pub(crate) queries: &'a [Query],
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) now: i64,
    pub(crate) most_found: usize,
    /// The messages about the whole call.
    pub(crate) said: &'a RefCell<BTreeSet<&'static str>>,
    /// Ids that are being evaluated, to find circles.
    pub(crate) path: Vec<&'a str>,
}

impl<'a> Call<'a> {
    /// Evaluates a query.
    fn term(&self, query: &'a Query) -> Result<Term, String> {
        if let Some(stat) = &query.metric_stat {
            return Ok(Term::One(self.series(stat)));
        }
        if self.path.contains(&query.id.as_str()) {
            return Err(format!("{} refers to itself", query.id));
        }
        let mut path = self.path.clone();
        path.push(&query.id);
        let inner = Call { path, ..*self };
        let text = query.expression.as_deref().unwrap_or_default();
        if insights::is_query(text) {
            return inner.select(&Insights::parse(text)?, query.period.unwrap_or(60)).map(Term::Many);
        }
        evaluate(text, &inner)
    }

    fn series(&self, stat: &MetricStat) -> Series {
        let statistic = Statistic::parse(&stat.stat).expect("the statistic was checked");
        let what = (stat.period, statistic);
        self.state.series(self.scope, [&stat.metric], stat.unit.as_deref(), what, self.start..self.end)
    }

    /// Evaluates a Metrics Insights query: a series for each group.
    fn select(&self, query: &Insights, period: i64) -> Result<Vec<Named>, String> {
        let mut groups: BTreeMap<String, Vec<&Metric>> = BTreeMap::new();
        for metric in self.state.recent(self.scope, self.now) {
            if let Some(label) = query.group(metric) {
                groups.entry(label).or_default().push(metric);
            }
        }
        let what = (period, query.statistic);
        let span = || self.start..self.end;
        let series = |(label, metrics)| Named {
            label,
            points: self.state.series(self.scope, metrics, None, what, span()),
        };
        let mut found: Vec<Named> = groups.into_iter().map(series).collect();
        query.arrange(&mut found, |group| &group.points);
        Ok(self.limited(found, "MaxQueryResultsExceeded"))
    }

    /// Drops series beyond the limit, and adds a message.
    fn limited(&self, mut found: Vec<Named>, code: &'static str) -> Vec<Named> {
        if found.len() > self.most_found {
            self.said.borrow_mut().insert(code);
            found.truncate(self.most_found);
        }
        found
    }

    /// Returns the time series of a query: several for a search, a query with groups, a list.
    pub(crate) fn find(
        &self,
        query: &'a Query,
        settings: &CloudWatchSettings,
        ascending: bool,
    ) -> Result<Vec<QuerySeries>, Failure> {
        let wrong = |why: String| refuse(format!("Error in expression '{}': {why}", query.id));
        let all = match self.term(query).map_err(wrong)? {
            Term::Scalar(_) => return Err(wrong("the result is not a time series".to_owned())),
            Term::One(points) => {
                let label = query.label.clone().unwrap_or_else(|| query.name().to_owned());
                vec![Named { label, points }]
            }
            Term::Many(all) => all
                .into_iter()
                .map(|Named { label, points }| {
                    let given = query.label.iter().map(String::as_str);
                    let label = given.chain([label.as_str()]).collect::<Vec<_>>().join(" ");
                    Named { label, points }
                })
                .collect(),
        };
        let status = settings.statuses.get(&query.id).copied().unwrap_or(DataStatus::Complete);
        let found = all.into_iter().map(|Named { label, points }| {
            let mut points: Vec<(i64, f64)> = points.into_iter().collect();
            match status {
                DataStatus::Complete => {}
                DataStatus::PartialData => points.truncate(points.len() / 2),
                DataStatus::InternalError | DataStatus::Forbidden => points.clear(),
            }
            if !ascending {
                points.reverse();
            }
            QuerySeries { id: query.id.clone(), label, status, points }
        });
        Ok(found.collect())
    }
}

impl Query {
    /// Returns the label of one series.
    fn name(&self) -> &str {
        self.metric_stat.as_ref().map_or(&self.id, |stat| &stat.metric.name)
    }
}

impl Scope for Call<'_> {
    fn lookup(&self, id: &str) -> Result<Term, String> {
        let query = self.queries.iter().find(|query| query.id == id);
        self.term(query.ok_or_else(|| format!("there is no id {id}"))?)
    }

    fn metrics(&self, part: &str) -> Vec<Named> {
        let metrics = self.queries.iter().filter(|query| query.id.contains(part));
        let series = |query: &Query| {
            let stat = query.metric_stat.as_ref()?;
            let label = query.label.as_deref().unwrap_or(query.name()).to_owned();
            Some(Named { label, points: self.series(stat) })
        };
        metrics.filter_map(series).collect()
    }

    fn search(&self, text: &str, statistic: &str, period: f64) -> Result<Vec<Named>, String> {
        let search = Search::parse(text)?;
        let statistic =
            Statistic::parse(statistic).ok_or_else(|| format!("there is no statistic {statistic}"))?;
        #[expect(clippy::cast_possible_truncation, reason = "what is no whole number is refused")]
        let whole = period as i64;
        if period.fract() != 0.0 || !is_period(whole) {
            return Err(format!("{period} is no period"));
        }
        let found: Vec<&Metric> =
            self.state.recent(self.scope, self.now).filter(|metric| search.finds(metric)).collect();
        let one_name = found.windows(2).all(|two| two[0].name == two[1].name);
        let named = found.into_iter().map(|metric| {
            let values = metric.dimensions.iter().map(|dimension| dimension.value.as_str());
            let name = (!one_name || metric.dimensions.is_empty()).then_some(metric.name.as_str());
            let label = values.chain(name).collect::<Vec<_>>().join(" ");
            let span = self.start..self.end;
            Named { label, points: self.state.series(self.scope, [metric], None, (whole, statistic), span) }
        });
        Ok(self.limited(named.collect(), "MaxMetricsExceeded"))
    }

    fn periods(&self) -> Vec<i64> {
        let metrics =
            self.queries.iter().filter_map(|query| query.metric_stat.as_ref()).map(|stat| stat.period);
        let own = self.queries.iter().filter_map(|query| query.period);
        let period = metrics.chain(own).min().unwrap_or(60).max(1);
        let first = self.start + (period - self.start.rem_euclid(period)) % period;
        (first..self.end).step_by(usize::try_from(period).unwrap_or(60)).collect()
    }
}
