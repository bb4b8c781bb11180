use super::*;

fn read(query: &str) -> (JobFilter, Option<String>) {
    let mut query = Query::parse(query);
    let filter = JobFilter::from_query(&mut query, ["cron", "sqs"].into_iter());
    (filter, query.finish().err().map(|problem| problem.document().detail))
}

#[test]
fn words_of_a_search_are_split_and_may_be_excluded() {
    let word = |text: &str, is_excluded| Word { text: text.to_owned(), is_excluded };
    let (filter, wrong) = read("q=Report++-Night+team=x+-");
    assert_eq!(
        filter.words,
        [word("report", false), word("night", true), word("team=x", false), word("-", false)]
    );
    assert_eq!(wrong, None);
    assert!(!filter.is_empty() && read("q=+").0.is_empty());
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    for (query, expected) in [
        (
            "trigger=sq",
            "?trigger: unknown kind of trigger \"sq\" (did you mean \"sqs\"?); one of cron, sqs, noop",
        ),
        ("suspended=yes", "?suspended: Must be true or false."),
        ("label=", "?label: Must be a name, or name=value."),
    ] {
        assert_eq!(read(query).1.as_deref(), Some(expected));
    }
    assert_eq!(read("trigger=noop&suspended=false&label=a&state=late").1, None);
    assert!("nxt".parse::<Sort>().unwrap_err().contains("did you mean \"next\"?"));
    assert_eq!("-next".parse(), Ok(Sort { by: SortKey::Next, is_reversed: true }));
}
