//! Strongly connected components of a directed graph.

use std::collections::{BTreeMap, BTreeSet};

/// Returns the components of more than one node: from each node of a component, every other one is reached.
pub(super) fn components<'e>(edges: impl Iterator<Item = &'e (String, String)>) -> Vec<BTreeSet<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().insert(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        next.keys().map(|node| (*node, reached_from(node, &next))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (node, others) in &reached {
        let returns = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(node));
        let component: BTreeSet<String> =
            others.iter().filter(returns).map(|other| (*other).to_owned()).collect();
        if component.len() > 1 && !found.contains(&component) {
            found.push(component);
        }
    }
    found
}

fn reached_from<'e>(node: &'e str, next: &BTreeMap<&'e str, BTreeSet<&'e str>>) -> BTreeSet<&'e str> {
    let mut reached = BTreeSet::new();
    let mut todo = vec![node];
    while let Some(node) = todo.pop() {
        todo.extend(next.get(node).into_iter().flatten().filter(|other| reached.insert(**other)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::components;

    fn found(edges: &[(&str, &str)]) -> Vec<String> {
        let edges: Vec<(String, String)> =
            edges.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let found = components(edges.iter());
        found.into_iter().map(|nodes| nodes.into_iter().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn nodes_that_reach_each_other_are_one_component() {
        assert_eq!(found(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")]), ["a b c"]);
        assert_eq!(found(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c")]), ["a b", "c d"]);
    }

    #[test]
    fn a_graph_without_circles_has_no_components() {
        assert_eq!(found(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]), Vec::<String>::new());
        assert_eq!(found(&[]), Vec::<String>::new());
    }
}
