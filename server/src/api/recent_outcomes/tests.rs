use std::collections::BTreeSet;

use super::*;

fn run(id: u64, outcome: TickOutcome, ticks: usize) -> OutcomeRun {
    OutcomeRun { id: DecisionId(id), outcome, ticks }
}

fn outcomes(runs: Vec<OutcomeRun>) -> RecentOutcomes {
    RecentOutcomes::new((None, None), Vec::new(), runs)
}

#[test]
fn every_outcome_has_a_letter_of_its_own() {
    let letters: BTreeSet<char> = TickOutcome::ALL.into_iter().map(letter).collect();
    assert_eq!(letters.len(), TickOutcome::ALL.len());
}

#[test]
fn the_newest_sixty_are_shown_oldest_first() {
    let recent = outcomes(vec![
        run(9, TickOutcome::Launched, 1),
        run(8, TickOutcome::Idle, 3),
        run(7, TickOutcome::Missed, 70),
    ]);
    let letters = recent.letters();
    assert_eq!((letters.len(), &letters[54..]), (60, "mmiiiL"));
    assert_eq!(recent.newest(), Some(TickOutcome::Launched));
    assert_eq!(outcomes(Vec::new()).letters(), "");
}

#[test]
fn runs_beyond_a_row_are_forgotten() {
    let recent = outcomes((0..100).rev().map(|id| run(id, TickOutcome::Launched, 1)).collect());
    assert_eq!((recent.runs.len(), recent.runs[59].id), (60, DecisionId(40)));
}
