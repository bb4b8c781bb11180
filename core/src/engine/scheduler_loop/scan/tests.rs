use serde_json::value::to_raw_value;

use super::*;
use crate::job::{JobUid, Progress, Revision};

/// Makes jobs whose documents have this many bytes each.
fn jobs(count: usize, bytes: usize) -> Vec<StoredJob> {
    let job = StoredJob {
        id: JobId::new("sample").unwrap(),
        uid: JobUid::random(),
        revision: Revision::FIRST,
        document: to_raw_value(&"x".repeat(bytes - 2)).unwrap(),
        created: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        progress: Progress::default(),
    };
    vec![job; count]
}

#[test]
fn page_size_follows_the_document_length_of_the_last_page() {
    for (count, bytes, expected) in [
        (500, 512, 4_096),
        (4_096, 512, 4_096),
        (500, 128 * 1_024, 16),
        (1, 4 * PAGE_BYTES, 1),
        (500, 2, 16_000),
    ] {
        assert_eq!(next_page_size(&jobs(count, bytes)).get(), expected, "{count} of {bytes} bytes");
    }
}
