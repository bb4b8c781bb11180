//! A writer of JSON that is shown as it is.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::output::printable_json;

/// Writes JSON in which each character that a terminal interprets is escaped. One call of `write` has one line.
#[derive(Debug)]
pub(super) struct PrintableJson<W>(pub(super) W);

impl<W: Write> Write for PrintableJson<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(printable_json(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for PrintableJson<M> {
    type Writer = PrintableJson<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        PrintableJson(self.0.make_writer())
    }
}
