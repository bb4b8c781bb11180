use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn entry(id: u64, second: i64) -> Entry {
    Entry { id, at: Some(at(second)) }
}

/// Searches in entries that are sorted by id. Returns the id, and the number of reads.
fn search(entries: &[Entry], second: i64) -> (Option<u64>, usize) {
    let Some(mut search) = Search::new(at(second), *entries.last().unwrap()) else { return (None, 1) };
    let mut reads = 1;
    while let Some(end) = search.next_end() {
        let found = entries[..entries.partition_point(|entry| entry.id < end)].last().copied();
        search.record(end, found);
        reads += 1;
    }
    (Some(search.late.id), reads)
}

/// Asserts that each search finds a late decision, with at most a few early ones before it, and returns the largest number of reads.
fn assert_found(entries: &[Entry], seconds: impl Iterator<Item = i64>) -> usize {
    let mut most = 0;
    for second in seconds {
        let (found, reads) = search(entries, second);
        let expected = entries.iter().find(|entry| entry.at >= Some(at(second))).map(|entry| entry.id);
        match found.zip(expected) {
            Some((found, expected)) => {
                assert!(found >= expected && found - expected <= MAX_REST, "{second}: {found} of {expected}");
            }
            None => assert_eq!(found, expected, "{second}"),
        }
        most = most.max(reads);
    }
    most
}

#[test]
fn moment_is_found_with_some_twenty_reads_in_a_million_decisions() {
    let entries: Vec<Entry> =
        (0..1_000_000_i64).map(|n| entry(9_000_000 + n.unsigned_abs(), n / 7)).collect();
    let most =
        assert_found(&entries, (0..150_000).step_by(3_001).chain([-1, 0, 1, 142_856, 142_857, 142_858]));
    assert!(most <= 24, "{most}");
}

#[test]
fn moment_is_found_although_the_rate_varies_and_ids_are_missing() {
    // A quiet time of years, a burst within a second, and every second block of ids without a decision.
    let second = |n: i64| match n {
        0..20_000 => n * 10_000,
        20_000..300_000 => 200_000_000,
        _ => 200_000_000 + n / 1_000,
    };
    let ids = (0..400_000_i64).filter(|n| n / 5_000 % 2 == 0);
    let entries: Vec<Entry> = ids.map(|n| entry(50 + n.unsigned_abs(), second(n))).collect();
    let moments = [0, 1, 10_000, 77_777_777, 199_999_999, 200_000_000, 200_000_001, 200_000_350, 200_000_399];
    let most = assert_found(&entries, moments.into_iter());
    assert!(most <= 40, "{most}");
}

#[test]
fn short_histories_are_searched() {
    for count in 1..200_i64 {
        let entries: Vec<Entry> = (0..count).map(|n| entry(n.unsigned_abs() + 1, n)).collect();
        assert_found(&entries, -1..=count);
    }
    let same: Vec<Entry> = (1..10_000).map(|n| entry(n, 5)).collect();
    assert!(assert_found(&same, 4..7) <= 20);
}
