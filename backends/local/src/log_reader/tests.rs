use std::fs;
use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// A log in a folder of its own.
struct Log(tempfile::TempDir);

const AMPLE: ReadLimits = ReadLimits { lines: 10_000, bytes: 1024 * 1024 };

impl Log {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn append(&self, text: impl AsRef<[u8]>) {
        let path = self.0.path().join("main.log");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rotate(&self) {
        fs::rename(self.0.path().join("main.log"), self.0.path().join("main.log.1")).unwrap();
    }

    fn read(&self, from: ReadStart, limits: ReadLimits, has_ended: bool) -> ReadLines {
        let path = |name: &str| self.0.path().join(name);
        LogReader::open(&path("main.log"), &path("main.log.1"), has_ended)
            .unwrap()
            .read(from, limits)
            .unwrap()
    }

    /// Reads all pages of a running task's log from a position on.
    fn pages(&self, mut from: ReadStart, limits: ReadLimits) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let page = self.read(from, limits, false);
            assert!(page.texts.len() <= limits.lines && !page.has_gap);
            texts.extend(page.texts);
            if !page.has_more {
                return texts;
            }
            from = ReadStart::After(page.next.unwrap());
        }
    }
}

#[test]
fn lines_are_read_once_across_a_rotation_in_the_middle_of_a_line() {
    let log = Log::new();
    log.append("one\ntwo\nthr");
    let first = log.read(ReadStart::Oldest, AMPLE, false);
    assert_eq!((first.texts, first.has_more), (vec!["one".to_owned(), "two".to_owned()], false));
    log.append("e");
    log.rotate();
    log.append("e\nfour\n");
    let second = log.read(ReadStart::After(first.next.unwrap()), AMPLE, false);
    assert_eq!((second.texts, second.has_gap), (vec!["three".to_owned(), "four".to_owned()], false));
    let position = LogPosition::parse(&second.next.unwrap().to_text()).unwrap();
    log.append("five\n");
    assert_eq!(log.read(ReadStart::After(position), AMPLE, false).texts, ["five"]);
}

#[test]
fn place_in_a_removed_file_continues_with_the_oldest_line_and_reports_the_gap() {
    let log = Log::new();
    log.append("one\n");
    let position = log.read(ReadStart::Oldest, AMPLE, false).next.unwrap();
    // While it is open, no new file gets its inode.
    let _open = File::open(log.0.path().join("main.log")).unwrap();
    for text in ["two\n", "three\n"] {
        log.rotate();
        log.append(text);
    }
    let page = log.read(ReadStart::After(position), AMPLE, false);
    assert_eq!((page.texts, page.has_gap), (vec!["two".to_owned(), "three".to_owned()], true));
}

#[test]
fn newest_lines_are_those_before_an_incomplete_one_until_the_task_ended() {
    let log = Log::new();
    log.append("one\ntwo\n");
    log.rotate();
    log.append("three\nfou");
    let newest = |lines, has_ended| log.read(ReadStart::Newest(lines), AMPLE, has_ended).texts;
    assert_eq!(newest(2, false), ["two", "three"]);
    assert_eq!(newest(2, true), ["three", "fou"]);
    assert_eq!(newest(9, true), ["one", "two", "three", "fou"]);
}

#[test]
fn newest_lines_within_the_bound_of_bytes_begin_with_a_whole_line() {
    let log = Log::new();
    log.append("a long first line\nshort\nend\n");
    let page = log.read(ReadStart::Newest(3), ReadLimits { lines: 10, bytes: 12 }, true);
    assert_eq!((page.texts, page.has_more), (vec!["short".to_owned(), "end".to_owned()], false));
}

#[test]
fn line_without_an_end_is_cut_between_characters() {
    let log = Log::new();
    log.append("ü".repeat(MAX_LINE));
    let texts = log.read(ReadStart::Oldest, AMPLE, true).texts;
    assert_eq!(texts.concat(), "ü".repeat(MAX_LINE));
    assert!(texts.iter().all(|text| text.len() <= MAX_LINE) && texts.len() == 2);
}

#[test]
fn bytes_that_are_no_text_do_not_exceed_the_bound() {
    let log = Log::new();
    log.append([0xff; 100_000]);
    let limits = ReadLimits { lines: 10, bytes: 100_000 };
    let page = log.read(ReadStart::Oldest, limits, true);
    assert!(page.texts.iter().map(String::len).sum::<usize>() <= limits.bytes && page.has_more);
}

#[test]
fn log_without_files_has_no_lines_and_no_place() {
    let page = Log::new().read(ReadStart::Newest(5), AMPLE, false);
    assert_eq!((page.texts.len(), page.next, page.has_more), (0, None, false));
}

proptest! {
    #[test]
    fn pages_of_any_size_have_every_complete_line_in_order(
        chunks in prop::collection::vec(("[ab\n]{0,30}", any::<bool>()), 1..4),
        lines in 1_usize..5,
    ) {
        let log = Log::new();
        let mut rotated = false;
        for (text, rotates) in &chunks {
            log.append(text);
            if *rotates && !rotated {
                log.rotate();
                rotated = true;
            }
        }
        log.append("");
        let text: String = chunks.iter().map(|(text, _)| text.as_str()).collect();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let expected: Vec<&str> = if text.contains('\n') { complete.split('\n').collect() } else { Vec::new() };
        prop_assert_eq!(log.pages(ReadStart::Oldest, ReadLimits { lines, bytes: 40_000 }), expected.clone());
        let newest = log.read(ReadStart::Newest(lines), AMPLE, false).texts;
        prop_assert_eq!(newest, &expected[expected.len().saturating_sub(lines)..]);
    }
}
