use super::*;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3_600).unwrap()
}

fn filter(query: &str) -> HistoryFilter {
    HistoryFilter::from_query(&mut Query::parse(query))
}

#[test]
fn range_has_its_begin_and_not_its_end() {
    let range = filter("from=1970-01-01T01:00:00Z&to=1970-01-01T03:00:00Z");
    let contained: Vec<i64> = (0..5).filter(|hour| range.contains(at(*hour), at(*hour))).collect();
    assert_eq!(contained, [1, 2]);
    assert!(range.contains(at(0), at(1)) && range.contains(at(2), at(9)) && range.contains(at(0), at(9)));
    assert!(!range.contains(at(3), at(9)));
    assert!(filter("").is_empty() && filter("").contains(at(0), at(0)) && !range.is_empty());
}

#[test]
fn wrong_filters_are_refused() {
    for query in ["from=yesterday", "from=1970-01-01T01:00:00Z&to=1970-01-01T01:00:00Z", "label=", "label==x"]
    {
        let mut parsed = Query::parse(query);
        HistoryFilter::from_query(&mut parsed);
        assert!(parsed.finish().is_err(), "{query}");
    }
}
