use super::{MAX_OFFSETS, PageIndex};

#[test]
fn nearest_known_offset_is_found() {
    let index = PageIndex::default();
    assert_eq!(index.nearest(5), (0, 0, None));
    index.record(0, 10, 100);
    index.record(0, 20, 200);
    assert_eq!(index.nearest(9), (0, 0, None));
    assert_eq!(index.nearest(10), (10, 100, Some(0)));
    assert_eq!(index.nearest(19), (10, 100, Some(0)));
    assert_eq!(index.nearest(u64::MAX), (20, 200, Some(0)));
}

#[test]
fn removal_forgets_offsets_and_a_late_answer_does_not_restore_them() {
    let index = PageIndex::default();
    index.record(0, 10, 100);
    index.record(1, 20, 201);
    assert_eq!(index.nearest(15), (0, 0, None));
    index.record(0, 10, 100);
    assert_eq!(index.nearest(15), (0, 0, None));
    assert_eq!(index.nearest(20), (20, 201, Some(1)));
}

#[test]
fn known_offsets_are_bounded() {
    let index = PageIndex::default();
    for offset in 0..10 * MAX_OFFSETS as u64 {
        index.record(0, offset, 1);
        assert!(index.0.lock().keys.len() <= MAX_OFFSETS);
    }
}
