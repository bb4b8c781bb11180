use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::expression::Expression;
use crate::query::{Metric, Series};
use crate::window::ReadWindow;

fn metric(name: usize) -> Metric {
    Metric {
        namespace: "App".into(),
        name: name.to_string(),
        dimensions: Vec::new(),
        stat: "Sum".into(),
        unit: None,
    }
}

/// A query of this many metrics: one is a metric, more are an expression.
fn key(name: usize, metrics: usize, end: i64) -> ReadingKey {
    let series = match metrics {
        1 => Series::Metric(metric(name)),
        _ => Series::Math {
            expression: Expression::new(&format!("m0 + {name}")),
            metrics: (0..metrics).map(|id| (format!("m{id}"), metric(id))).collect(),
        },
    };
    ReadingKey {
        query: Arc::new(MetricQuery { series, account: None }),
        window: ReadWindow { end, points: 5, period: 60 },
    }
}

fn sizes(keys: &[ReadingKey]) -> Vec<usize> {
    batch_queries(keys, |_| false).iter().map(Vec::len).collect()
}

#[test]
fn ten_thousand_metrics_need_twenty_calls() {
    let keys: Vec<ReadingKey> = (0..10_000).map(|name| key(name, 1, 60)).collect();
    assert_eq!(sizes(&keys), [500; 20]);
}

#[test]
fn expression_counts_with_its_metrics() {
    let keys: Vec<ReadingKey> = (0..200).map(|name| key(name, 4, 60)).collect();
    assert_eq!(sizes(&keys), [100, 100]);
}

#[test]
fn windows_with_different_ends_do_not_share_a_call() {
    let keys: Vec<ReadingKey> = (0..10).map(|name| key(name, 1, 60 * i64::from(name % 2 == 0))).collect();
    assert_eq!(sizes(&keys), [5, 5]);
}

#[test]
fn refused_and_whole_call_queries_have_their_own_call() {
    let mut keys: Vec<ReadingKey> = (0..5).map(|name| key(name, 1, 60)).collect();
    let series = Series::Math {
        expression: Expression::new("SUM(METRICS())"),
        metrics: vec![("a".into(), metric(1))],
    };
    keys.push(ReadingKey { query: Arc::new(MetricQuery { series, account: None }), ..keys[0].clone() });
    let refused = Arc::clone(&keys[2].query);
    let mut sizes: Vec<usize> =
        batch_queries(&keys, |query| *query == *refused).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 4]);
}

proptest! {
    #[test]
    fn every_key_is_in_one_call_and_no_call_is_too_large(
        shapes in prop::collection::vec((1_usize..=10, 0_i64..3), 0..600),
    ) {
        let keys: Vec<ReadingKey> =
            shapes.iter().enumerate().map(|(name, (metrics, end))| key(name, *metrics, *end)).collect();
        let calls = batch_queries(&keys, |_| false);
        for call in &calls {
            prop_assert!(call.iter().map(|key| key.query.query_count()).sum::<usize>() <= limits::MAX_QUERIES);
            prop_assert!(call.iter().all(|key| key.window.end == call[0].window.end));
        }
        let packed: std::collections::HashSet<&ReadingKey> = calls.iter().flatten().copied().collect();
        prop_assert_eq!(packed.len(), keys.len());
        prop_assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), keys.len());
        // No two calls of one moment fit into one.
        for (index, call) in calls.iter().enumerate() {
            for other in &calls[index + 1..] {
                let query_count: usize = call.iter().chain(other).map(|key| key.query.query_count()).sum();
                prop_assert!(call[0].window.end != other[0].window.end || query_count > limits::MAX_QUERIES);
            }
        }
    }
}
