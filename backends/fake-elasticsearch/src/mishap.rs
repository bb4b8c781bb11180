//! What a request may meet with.

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It is not carried out, and the connection breaks.
    Broken,
    /// It is carried out, and the connection breaks.
    Lost,
    /// It is carried out, and no answer ever comes.
    Silent,
    /// It is not carried out, and answered with this status and this type of error.
    Answer(u16, &'static str),
    /// It is not carried out, and something that is no Elasticsearch answers.
    Html,
    /// It is carried out, but the answer says that a shard failed.
    ShardFailed,
    /// It is carried out, but the answer says that time ran out.
    TimedOut,
    /// The first item of a bulk request is not carried out, and has this status and this type of error.
    Item(u16, &'static str),
}

/// What is yet to happen.
#[derive(Debug, Default)]
pub(crate) struct Mishaps(Vec<(String, usize, Mishap)>);

impl Mishaps {
    pub(crate) fn add(&mut self, request: &str, times: usize, mishap: Mishap) {
        self.0.push((request.to_owned(), times, mishap));
    }

    pub(crate) fn befall(&mut self, request: &str) -> Option<Mishap> {
        let found = self
            .0
            .iter_mut()
            .find(|(wanted, times, _)| *times > 0 && request.starts_with(wanted.as_str()))?;
        found.1 -= 1;
        Some(found.2)
    }
}
