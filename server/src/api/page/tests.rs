use super::*;

fn page(skip: u64, count: u64) -> PageRequest {
    PageRequest { skip, count, state: None }
}

#[test]
fn links_omit_default_values() {
    assert_eq!(page(20, 10).prev(100).unwrap(), "/jobs?skip=10");
    assert_eq!(page(10, 10).prev(100).unwrap(), "/jobs");
    assert_eq!(page(10, 5).prev(100).unwrap(), "/jobs?count=5&skip=5");
    assert_eq!(page(0, 10).next(10, 11).unwrap(), "/jobs?skip=10");
}

#[test]
fn links_keep_the_state() {
    let page = PageRequest::from_query(Query::parse("count=5&state=failing")).unwrap();
    assert_eq!(page.link(7), "/jobs?state=failing&count=5&skip=7");
    assert!(PageRequest::from_query(Query::parse("state=broken")).is_err());
}

#[test]
fn missing_page_gets_no_link() {
    assert_eq!(page(0, 10).prev(100), None);
    assert_eq!(page(5, 10).prev(0), None);
    assert_eq!(page(0, 10).next(10, 10), None);
    assert_eq!(page(0, 10).next(0, 0), None);
}

#[test]
fn far_behind_the_end_the_page_before_is_the_last_one() {
    assert_eq!(page(1_000, 10).prev(25).unwrap(), "/jobs?skip=15");
    assert_eq!(page(30, 10).prev(25).unwrap(), "/jobs?skip=20");
    assert_eq!(page(1_000, 50).prev(25).unwrap(), "/jobs?count=50");
}

#[test]
fn a_page_beyond_the_bound_is_cut_and_links_to_the_rest() {
    let all = page(0, 1_000_000);
    assert_eq!(all.size(), 10_000);
    assert_eq!(all.next(10_000, 1_000_000).unwrap(), "/jobs?count=1000000&skip=10000");
    assert_eq!(all.next(40, 1_000_000).unwrap(), "/jobs?count=1000000&skip=40", "a page may end earlier");
}

#[test]
fn following_the_links_visits_every_entry_once() {
    for (total, count) in [(25, 10), (100, 7), (11, 11), (1, 1)] {
        let (mut skip, mut seen) = (0, 0);
        loop {
            let here = page(skip, count);
            let shown = count.min(total - skip);
            seen += shown;
            let Some(link) = here.next(usize::try_from(shown).unwrap(), total) else { break };
            let query = link.split_once('?').unwrap().1;
            skip = PageRequest::from_query(Query::parse(query)).unwrap().skip;
        }
        assert_eq!(seen, total);
    }
}

#[test]
fn numbers_larger_than_any_list_are_fine_as_long_as_they_are_numbers() {
    let most = i64::MAX;
    let huge = PageRequest::from_query(Query::parse(&format!("skip={most}&count={most}"))).unwrap();
    assert_eq!((huge.next(0, 5), huge.prev(5).as_deref()), (None, Some(huge.link(0).as_str())));
    assert!(PageRequest::from_query(Query::parse("skip=9223372036854775808")).is_err());
}
