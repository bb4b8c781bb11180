//! Faults that tests inject into requests.

/// A fault in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectedFault {
    /// The request is not executed, and the connection breaks.
    ConnectionBroken,
    /// The request is executed, and the connection breaks before the response.
    ResponseLost,
    /// The request is executed, and no response is sent.
    NoResponse,
    /// The request is not executed, and the response has this status and this type of error.
    ErrorResponse(u16, &'static str),
    /// The request is not executed, and the response is a page that is not Elasticsearch's.
    HtmlPage,
    /// The request is executed, and the response reports a failed shard.
    ShardFailed,
    /// The request is executed, and the response reports a timeout.
    SearchTimedOut,
    /// The first item of a bulk request is not executed, and has this status and this type of error.
    BulkItem(u16, &'static str),
}

/// The faults of future requests: the beginning of the request, how many times, and the fault.
#[derive(Debug, Default)]
pub(crate) struct InjectedFaults(Vec<(String, usize, InjectedFault)>);

impl InjectedFaults {
    pub(crate) fn add(&mut self, request: &str, times: usize, fault: InjectedFault) {
        self.0.push((request.to_owned(), times, fault));
    }

    /// Takes the fault of a request, if there is one.
    pub(crate) fn next_for(&mut self, request: &str) -> Option<InjectedFault> {
        let found = self
            .0
            .iter_mut()
            .find(|(prefix, times, _)| *times > 0 && request.starts_with(prefix.as_str()))?;
        found.1 -= 1;
        Some(found.2)
    }
}
