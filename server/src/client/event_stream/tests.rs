use super::*;

/// Feeds a stream in chunks of this size; returns all events.
fn events(text: &str, chunk: usize) -> Vec<ServerEvent> {
    let mut parser = EventParser::default();
    let mut events = Vec::new();
    for bytes in text.as_bytes().chunks(chunk) {
        let mut rest = bytes;
        while let Some((event, after)) = parser.feed(rest).unwrap() {
            events.push(event);
            rest = after;
        }
    }
    events
}

#[test]
fn events_are_read_whole_from_chunks_of_any_size() {
    let text = ": keep-alive\n\nevent: lines\ndata: {\"a\":\ndata: \"ü: b\"}\nid: main=7\n\n:\n\nevent:end\r\ndata:x\r\n\r\nevent: cut\n";
    let lines = ServerEvent {
        name: "lines".to_owned(),
        data: "{\"a\":\n\"ü: b\"}".to_owned(),
        id: Some("main=7".to_owned()),
    };
    let end = ServerEvent { name: "end".to_owned(), data: "x".to_owned(), id: None };
    for chunk in [1, 2, 7, 1_000] {
        assert_eq!(events(text, chunk), [lines.clone(), end.clone()]);
    }
}

#[test]
fn event_that_is_too_large_is_refused() {
    let mut parser = EventParser::default();
    assert!(parser.feed(&vec![b'a'; MAX_EVENT]).unwrap().is_none());
    assert!(parser.feed(b"a").unwrap_err().contains("larger than"));
}
