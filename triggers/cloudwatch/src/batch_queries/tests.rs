use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::expression::Expression;
use crate::query::{Metric, Series};
use crate::window::Window;

fn metric(name: usize) -> Metric {
    Metric {
        namespace: "App".into(),
        name: name.to_string(),
        dimensions: Vec::new(),
        stat: "Sum".into(),
        unit: None,
    }
}

/// A query of so many metrics: one is a metric, more are an expression.
fn key(name: usize, metrics: usize, end: i64) -> Key {
    let series = match metrics {
        1 => Series::Metric(metric(name)),
        _ => Series::Math {
            expression: Expression::new(&format!("m0 + {name}")),
            metrics: (0..metrics).map(|id| (format!("m{id}"), metric(id))).collect(),
        },
    };
    Key { query: Arc::new(Query { series, account: None }), window: Window { end, points: 5, period: 60 } }
}

fn sizes(keys: &[Key]) -> Vec<usize> {
    pack(keys, |_| false).iter().map(Vec::len).collect()
}

#[test]
fn ten_thousand_metrics_make_twenty_calls() {
    let keys: Vec<Key> = (0..10_000).map(|name| key(name, 1, 60)).collect();
    assert_eq!(sizes(&keys), [500; 20]);
}

#[test]
fn an_expression_counts_with_its_metrics() {
    let keys: Vec<Key> = (0..200).map(|name| key(name, 4, 60)).collect();
    assert_eq!(sizes(&keys), [100, 100]);
}

#[test]
fn windows_that_end_differently_do_not_share_a_call() {
    let keys: Vec<Key> = (0..10).map(|name| key(name, 1, 60 * i64::from(name % 2 == 0))).collect();
    assert_eq!(sizes(&keys), [5, 5]);
}

#[test]
fn what_was_refused_or_looks_at_the_whole_call_is_alone() {
    let mut keys: Vec<Key> = (0..5).map(|name| key(name, 1, 60)).collect();
    let series = Series::Math {
        expression: Expression::new("SUM(METRICS())"),
        metrics: vec![("a".into(), metric(1))],
    };
    keys.push(Key { query: Arc::new(Query { series, account: None }), ..keys[0].clone() });
    let refused = Arc::clone(&keys[2].query);
    let mut sizes: Vec<usize> = pack(&keys, |query| *query == *refused).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 4]);
}

proptest! {
    #[test]
    fn every_key_is_in_one_call_and_no_call_is_too_large(
        shapes in prop::collection::vec((1_usize..=10, 0_i64..3), 0..600),
    ) {
        let keys: Vec<Key> =
            shapes.iter().enumerate().map(|(name, (metrics, end))| key(name, *metrics, *end)).collect();
        let calls = pack(&keys, |_| false);
        for call in &calls {
            prop_assert!(call.iter().map(|key| key.query.weight()).sum::<usize>() <= limits::QUERIES);
            prop_assert!(call.iter().all(|key| key.window.end == call[0].window.end));
        }
        let packed: std::collections::HashSet<&Key> = calls.iter().flatten().copied().collect();
        prop_assert_eq!(packed.len(), keys.len());
        prop_assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), keys.len());
        // No two calls of one moment could have been one.
        for (index, call) in calls.iter().enumerate() {
            for other in &calls[index + 1..] {
                let weight: usize = call.iter().chain(other).map(|key| key.query.weight()).sum();
                prop_assert!(call[0].window.end != other[0].window.end || weight > limits::QUERIES);
            }
        }
    }
}
