//! Searching the state space of a configuration.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker as _, HasDiscoveries, Model as _, Path};

use crate::config::Config;
use crate::protocol::{Action, Protocol};
use crate::state::State;

/// The result of a search.
#[derive(Debug, Default)]
pub struct Search {
    /// How many different states there are, or were seen up to the first counterexample.
    pub states: usize,
    /// How many steps lead from one to another.
    pub steps: usize,
    /// How many steps the longest of the shortest ways to a state has.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// For each property that does not hold, the steps that lead to a state in which it does not.
    pub counterexamples: BTreeMap<&'static str, Vec<Action>>,
}

impl Reporter<Protocol> for Search {
    fn report_checking(&mut self, data: ReportData) {
        (self.states, self.steps) = (data.unique_states, data.total_states);
        (self.depth, self.took) = (data.max_depth, data.duration);
    }

    fn report_discoveries(
        &mut self,
        _model: &Protocol,
        discoveries: BTreeMap<&'static str, ReportDiscovery<Protocol>>,
    ) {
        let found = discoveries.into_iter();
        self.counterexamples = found.map(|(name, found)| (name, found.path.into_actions())).collect();
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(100)
    }
}

/// Searches all states, breadth first, for a counterexample: to this property, or else to any.
///
/// Without a counterexample every state has been seen.
#[must_use]
pub fn search(config: Config, threads: usize, property: Option<&'static str>) -> Search {
    let finish = property.map_or(HasDiscoveries::AnyFailures, |name| HasDiscoveries::AnyOf([name].into()));
    let checker = Protocol { config }.checker().threads(threads).finish_when(finish);
    let mut search = Search::default();
    let _checker = checker.spawn_bfs().join_and_report(&mut search);
    search
}

/// Returns the shortest way to a state in which the property does not hold; none when it holds everywhere.
///
/// The checker itself visits a block of states before it stops, and keeps the last counterexample of the block.
#[must_use]
pub fn shortest(config: Config, property: &'static str) -> Option<Vec<Action>> {
    let model = Protocol { config };
    let named = model.properties().into_iter().find(|known| known.name == property)?;
    let found = Arc::new(OnceLock::new());
    let (first, judge) = (Arc::clone(&found), model.clone());
    let visit = move |path: Path<State, Action>| {
        if first.get().is_none() && !(named.condition)(&judge, path.last_state()) {
            // One thread visits the states in the order of their distance.
            let _ = first.set(path.into_actions());
        }
    };
    let finish = HasDiscoveries::AnyOf([property].into());
    let _checker = model.checker().threads(1).finish_when(finish).visitor(visit).spawn_bfs().join();
    found.get().cloned()
}
