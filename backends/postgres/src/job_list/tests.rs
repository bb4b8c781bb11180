use super::{Places, REMEMBERED};

#[test]
fn the_nearest_place_before_is_found() {
    let places = Places::default();
    assert_eq!(places.before(5), (0, 0, None));
    places.note(0, 10, 100);
    places.note(0, 20, 200);
    assert_eq!(places.before(9), (0, 0, None));
    assert_eq!(places.before(10), (10, 100, Some(0)));
    assert_eq!(places.before(19), (10, 100, Some(0)));
    assert_eq!(places.before(u64::MAX), (20, 200, Some(0)));
}

#[test]
fn a_removal_moves_all_places_and_a_late_answer_does_not_bring_them_back() {
    let places = Places::default();
    places.note(0, 10, 100);
    places.note(1, 20, 201);
    assert_eq!(places.before(15), (0, 0, None));
    places.note(0, 10, 100);
    assert_eq!(places.before(15), (0, 0, None));
    assert_eq!(places.before(20), (20, 201, Some(1)));
}

#[test]
fn the_places_that_are_remembered_are_bounded() {
    let places = Places::default();
    for place in 0..10 * REMEMBERED as u64 {
        places.note(0, place, 1);
        assert!(places.0.lock().keys.len() <= REMEMBERED);
    }
}
