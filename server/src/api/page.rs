//! Pages of the list of jobs, and the links between them.

use super::job_status::JobStatus;
use super::problem::Problem;
use super::request::Query;

#[cfg(test)]
mod tests;

const DEFAULT_COUNT: u64 = 10;
/// The maximum number of jobs of one page. The answer to a larger count has this many, and a link to the rest.
pub(super) const MAX_COUNT: u64 = 10_000;

/// The requested part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageRequest {
    /// The number of entries to skip.
    pub(super) skip: u64,
    /// The requested maximum of entries.
    pub(super) count: u64,
    /// Only jobs in this state are shown. `skip` counts all jobs.
    pub(super) state: Option<JobStatus>,
}

impl PageRequest {
    /// Reads `skip`, `count` and `state`.
    ///
    /// # Errors
    ///
    /// 400 unless `skip` and `count` are integers, `skip` not negative and `count` at least 1, and `state` is a known state.
    pub(super) fn from_query(mut query: Query) -> Result<Self, Problem> {
        // Larger than any list; small enough for every store and for the sums below.
        const BEYOND: u64 = i64::MAX as u64 / 4;
        let count = query.integer("count", DEFAULT_COUNT, 1).min(BEYOND);
        let skip = query.integer("skip", 0, 0).min(BEYOND);
        let state = query.choice("state");
        query.finish()?;
        Ok(Self { skip, count, state })
    }

    /// Returns the maximum number of entries of the page.
    pub(super) fn size(&self) -> usize {
        usize::try_from(self.count.min(MAX_COUNT)).unwrap_or(usize::MAX)
    }

    /// Links to the previous page: there is one if entries of a list that is not empty were skipped.
    pub(super) fn prev(&self, total: u64) -> Option<String> {
        if self.skip == 0 || total == 0 {
            return None;
        }
        // Beyond the end, the previous page is the last page.
        let end = if self.skip.saturating_sub(self.count) >= total { total } else { self.skip };
        Some(self.link(end.saturating_sub(self.count)))
    }

    /// Links to the next page, if there is one; this page has `shown` entries.
    pub(super) fn next(&self, shown: usize, total: u64) -> Option<String> {
        let skip = self.skip.saturating_add(u64::try_from(shown).unwrap_or(u64::MAX));
        (shown > 0 && skip < total).then(|| self.link(skip))
    }

    /// Links to the page that begins at this offset.
    pub(super) fn link(&self, skip: u64) -> String {
        let state = self.state.map(|state| format!("state={}", state.as_str()));
        let count = (self.count != DEFAULT_COUNT).then(|| format!("count={}", self.count));
        let skip = (skip > 0).then(|| format!("skip={skip}"));
        let parameters: Vec<String> = [state, count, skip].into_iter().flatten().collect();
        if parameters.is_empty() { "/jobs".to_owned() } else { format!("/jobs?{}", parameters.join("&")) }
    }
}
