use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn all(mut list: TickList) -> Vec<Timestamp> {
    std::iter::from_fn(|| list.pop()).collect()
}

#[test]
fn ticks_keep_their_order_and_number_in_the_short_form() {
    let regular: Vec<Timestamp> = (0..10_000).map(|n| at(n * 60)).collect();
    let uneven: Vec<Timestamp> = (0..10_000).map(|n| at(n * 60 + (n * n) % 7)).collect();
    for (ticks, most) in [(Vec::new(), 2), (vec![at(5)], 20), (regular, 40), (uneven, 200_000)] {
        let list = TickList::new(&ticks);
        let text = serde_json::to_string(&list).unwrap();
        assert!(text.len() <= most, "{} characters", text.len());
        assert_eq!(list.len() as usize, ticks.len());
        assert_eq!(list.first(), ticks.first().copied());
        assert_eq!(all(serde_json::from_str(&text).unwrap()), ticks);
    }
}

#[test]
fn greatest_backfill_fits_into_the_register_of_every_store() {
    let uneven: Vec<Timestamp> =
        (0..i64::from(MAX_TICKS)).map(|n| at(4_000_000_000 + n * 61 + n % 2)).collect();
    let document = serde_json::value::to_raw_value(&serde_json::json!({})).unwrap();
    let id = JobId::new(&"j".repeat(JobId::MAX)).unwrap();
    let stored = crate::store::NewJob { id, uid: JobUid::random(), document, at: at(0) }.into();
    let mut request = BackfillRequest::new(at(0), at(1));
    (request.reason, request.actor) = (Some("ä".repeat(1_024)), Some("ä".repeat(1_024)));
    let mut backfill = Backfill::new(JobUid::random().to_string(), &stored, request, &uneven, at(0));
    for _ in 0..MAX_OVERLAP {
        let firing = backfill.firing_of(backfill.next_tick().unwrap());
        backfill.take_tick(Some(firing));
    }
    // An item of DynamoDB has at most 400 KB.
    assert!(backfill.register_value().len() < 300_000, "{}", backfill.register_value().len());
    assert_eq!(Backfill::parse(&backfill.register_value()), Some(backfill));
}
