use super::*;

#[test]
fn search_claims_only_firings_that_no_part_works_on_or_has_ended_since_it_began() {
    let in_flight = InFlight::default();
    let [before, known, ended, rolled_back, lost] =
        ["before", "known", "ended", "rolled back", "lost"].map(FiringId::from_text);
    for id in [&before, &known, &ended] {
        assert!(in_flight.insert(id) && !in_flight.insert(id));
    }
    in_flight.end(&before);
    let search = in_flight.begin_search();
    in_flight.end(&ended);
    assert!(in_flight.insert(&rolled_back));
    in_flight.remove(&rolled_back);
    let claimed = [&before, &known, &ended, &rolled_back, &lost].map(|id| search.claim(id));
    assert_eq!(claimed, [true, false, false, true, true]);
    assert!(!search.claim(&lost) && !in_flight.insert(&lost), "it is worked on now");
    drop(search);
    assert!(in_flight.begin_search().claim(&ended), "a later answer is newer than its end");
}
