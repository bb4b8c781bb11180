//! The examples of `doc/schedules.md` are true.

use super::{next, schedule};

/// The cells of each row of each table whose first column is headed `schedule`, with the heading.
fn rows() -> Vec<(String, Vec<String>)> {
    let page = include_str!("../../../../doc/schedules.md");
    let mut rows = Vec::new();
    let mut heading = "";
    for line in page.lines() {
        match (line.starts_with("| "), heading.is_empty()) {
            (false, _) if !line.starts_with('|') => heading = "",
            (true, true) => heading = line,
            (true, false) if heading.starts_with("| schedule |") => {
                let cells =
                    line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
                rows.push((heading.to_owned(), cells.collect()));
            }
            _ => {}
        }
    }
    rows
}

#[test]
fn every_schedule_in_the_page_is_valid() {
    let rows = rows();
    assert!(rows.len() > 25, "{}", rows.len());
    for (_, cells) in rows {
        assert!(schedule(&cells[0], "UTC").is_ok(), "{}", cells[0]);
    }
}

#[test]
fn every_worked_date_in_the_page_is_correct() {
    let worked: Vec<_> = rows().into_iter().filter(|(heading, _)| heading.contains("asked at")).collect();
    assert_eq!(worked.len(), 8);
    for (_, cells) in worked {
        let ticks: Vec<&str> = cells[3].split(", ").collect();
        let schedule = schedule(&cells[0], &cells[1]).unwrap();
        assert_eq!(next(&schedule, &cells[2], ticks.len()), ticks, "{} in {}", cells[0], cells[1]);
    }
}

#[test]
fn every_macro_has_the_documented_meaning() {
    for (_, cells) in rows().into_iter().filter(|(heading, _)| heading.contains("the same as")) {
        let [named, spelled] = [&cells[0], &cells[1]].map(|text| schedule(text, "Europe/Berlin").unwrap());
        let after = "2027-01-01T00:00:00Z";
        assert_eq!(next(&named, after, 20), next(&spelled, after, 20), "{}", cells[0]);
    }
}
