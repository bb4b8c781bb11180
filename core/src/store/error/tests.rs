use std::error::Error as _;
use std::io;

use super::{StoreError, Subject};
use crate::fault::{FaultKind, chain};
use crate::firing::FiringId;
use crate::job::{JobId, JobUid};
use crate::store::Fence;

#[test]
fn subjects_name_kind_and_object() {
    let job = JobId::new("nightly").unwrap();
    let firing = FiringId::for_tick(&JobUid::random(), jiff::Timestamp::UNIX_EPOCH);
    let fence = Fence { register: "shard/07".to_owned(), version: 3 };
    let texts = [
        (StoreError::Exists(job.clone()), "job \"nightly\" already exists".to_owned()),
        (StoreError::NotFound((&job).into()), "job \"nightly\" does not exist".to_owned()),
        (StoreError::Conflict((&firing).into()), format!("firing \"{firing}\" was modified concurrently")),
        (
            StoreError::Fenced((&fence).into()),
            "register \"shard/07\" is owned by another replica; nothing was written".to_owned(),
        ),
        (
            StoreError::Conflict(Subject::Object("jobs/x".to_owned())),
            "object \"jobs/x\" was modified concurrently".to_owned(),
        ),
        (StoreError::fault(FaultKind::Config, "the table is missing"), "the table is missing".to_owned()),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn clones_share_the_cause() {
    let cause = io::Error::new(io::ErrorKind::BrokenPipe, "the pipe broke");
    let error = StoreError::with_source(FaultKind::Unavailable, "could not write", cause);
    let copy = error.clone();
    assert_eq!(chain(&copy), "could not write: the pipe broke");
    let [original, copied] = [&error, &copy].map(|error| error.source().unwrap());
    assert!(std::ptr::addr_eq(original, copied));
    assert_eq!(copied.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::BrokenPipe);
    assert!(copy.is_transient());
}
