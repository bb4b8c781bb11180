//! The three places where a connection waits for its client: the stream, the body of a request, the body of an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::monitor::ConnMonitor;

/// The size of the pieces of an answer. Resources of an answer are released when all but the last piece is sent.
const MAX_CHUNK: usize = 64 * 1024;

/// The most bytes of one read. hyper doubles its buffer whenever a read fills it, and each connection keeps its own.
const MAX_READ_SIZE: usize = 8 * 1024;

/// A stream that records when the client sends and when it receives.
pub(super) struct MonitoredStream {
    stream: TcpStream,
    monitor: Arc<ConnMonitor>,
}

impl MonitoredStream {
    pub(super) fn new(stream: TcpStream, monitor: Arc<ConnMonitor>) -> Self {
        Self { stream, monitor }
    }
}

impl AsyncRead for MonitoredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let size = buf.remaining().min(MAX_READ_SIZE);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(size));
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let length = part.filled().len();
        if length > 0 {
            buf.advance(length);
            self.monitor.on_received();
        }
        read
    }
}

impl AsyncWrite for MonitoredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.monitor.on_write(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.monitor.on_write(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The body of a request, which records when the server waits for more of it.
pub(super) struct RequestBody {
    inner: Incoming,
    monitor: Arc<ConnMonitor>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, monitor: Arc<ConnMonitor>) -> Self {
        Self { inner, monitor }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if frame.is_ready() {
            self.monitor.on_processing();
        } else {
            self.monitor.on_body_wait();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RequestBody {
    /// The body is complete.
    fn drop(&mut self) {
        self.monitor.on_processing();
    }
}

/// The body of an answer, sent in pieces.
pub(super) struct ResponseBody {
    inner: Body,
    rest: Bytes,
    monitor: Arc<ConnMonitor>,
}

impl ResponseBody {
    pub(super) fn new(inner: Body, monitor: Arc<ConnMonitor>) -> Self {
        // A body without a known length is a stream of events, which has no end.
        if let Some(length) = inner.size_hint().exact() {
            monitor.on_response_start(length);
        }
        Self { inner, rest: Bytes::new(), monitor }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let size = self.rest.len().min(MAX_CHUNK);
        let piece = self.rest.split_to(size);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        match self.inner.size_hint().exact() {
            Some(size) => SizeHint::with_exact(size.saturating_add(rest)),
            None => SizeHint::default(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.monitor.on_response_end();
    }
}
