//! The README's table names the function behind each action; this keeps it true.

use std::collections::BTreeSet;
use std::path::Path;

const README: &str = include_str!("../../README.md");
const PROTOCOL: &str = include_str!("../../src/protocol.rs");

/// The rows of the table of actions: action, file, function.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let table = README.lines().skip_while(|line| !line.starts_with("| action |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| {
        let cells: Vec<&str> =
            row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        assert_eq!(cells.len(), 4, "{row}");
        (cells[0], cells[2], cells[3])
    });
    cells.collect()
}

/// The names in `enum Action`.
fn actions() -> BTreeSet<&'static str> {
    let body = PROTOCOL.split_once("pub enum Action {").unwrap().1.split_once("\n}").unwrap().0;
    let variants = body.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.is_empty());
    variants.map(|line| line.split(['(', ',']).next().unwrap()).collect()
}

#[test]
fn every_action_is_in_the_table_and_nothing_else_is() {
    let named: BTreeSet<&str> = rows().into_iter().map(|(action, _, _)| action).collect();
    assert_eq!(named, actions());
}

#[test]
fn each_action_has_the_name_of_its_first_function() {
    let mut named = BTreeSet::new();
    for (action, file, function) in rows() {
        if named.insert(action) && file != "–" {
            let name = function.rsplit("::").next().unwrap();
            assert_eq!(
                action.to_lowercase(),
                name.replace('_', ""),
                "the function of {action} is {function}"
            );
        }
    }
}

#[test]
fn every_function_in_the_table_is_in_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut checked = BTreeSet::new();
    for (action, file, function) in rows().into_iter().filter(|(_, file, _)| *file != "–") {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let name = function.rsplit("::").next().unwrap();
        let declared =
            [format!("fn {name}("), format!("fn {name}<")].iter().any(|start| text.contains(start));
        assert!(declared, "{action}: there is no function {name} in {file}");
        checked.insert(action);
    }
    let without: Vec<&str> = actions().difference(&checked).copied().collect();
    assert_eq!(without, ["Arrive", "Crash", "Vanish"], "each other action has a function");
}
