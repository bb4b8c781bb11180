//! Dumps: the content of a store as lines of JSON, between a header and a trailer.
//!
//! ```text
//! {"header":{"format":1,"store":"sqlite","name":"ecs-scheduler","at":"2027-03-01T09:00:00Z","version":"0.1.0"}}
//! {"job":{"id":"nightly","uid":"…","revision":3,"created":"…","changed":"…","progress":{…},"document":"{…}"}}
//! {"entry":{"decision":{"id":1,…},"firing":{…}}}
//! {"register":{"name":"brake","value":"…"}}
//! {"trailer":{"jobs":1,"decisions":1,"firings":1,"registers":1,"sha256":"…"}}
//! ```
//!
//! The hash is over every byte before the trailer's line. The format is lines, so that other tools can read it and it
//! is written as a stream. It is not a copy of a store's tables, so that every store can import it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Seek as _, Write};
use std::path::Path;

use async_trait::async_trait;
use ecs_scheduler_core::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::checksum::{Checksum, Counts, hex};
use super::reader::TransferSource;
use super::record::TransferItem;
use crate::error::CommandError;
use crate::input;

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;
/// The beginning of the last line.
const TRAILER_PREFIX: &str = r#"{"trailer":"#;

/// The header of a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The format of the lines.
    pub format: u32,
    /// The kind of the exported store.
    pub store: String,
    /// The scheduler's name.
    pub name: String,
    /// The time of the export.
    pub at: Timestamp,
    /// The version of the program that wrote it.
    pub version: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trailer {
    #[serde(flatten)]
    counts: Counts,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Frame<H, T> {
    Header(H),
    Trailer(T),
}

/// Writes a dump.
#[derive(Debug)]
pub struct DumpWriter<W> {
    output: W,
    hash: Sha256,
    checksum: Checksum,
}

impl<W: Write> DumpWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub fn new(output: W, header: &Header) -> Result<Self, CommandError> {
        let mut writer = Self { output, hash: Sha256::new(), checksum: Checksum::default() };
        writer.put(&frame(&Frame::<_, ()>::Header(header))?)?;
        Ok(writer)
    }

    /// Writes an item.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub fn add(&mut self, item: &TransferItem) -> Result<(), CommandError> {
        let line = self.checksum.add(item)?;
        self.put(&line)
    }

    /// Returns the counts of the written items.
    #[must_use]
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// Writes the trailer; returns the counts of the written items.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub fn finish(mut self) -> Result<Checksum, CommandError> {
        let trailer = Trailer { counts: self.checksum.counts(), sha256: hex(self.hash.clone()) };
        self.put(&frame(&Frame::<(), _>::Trailer(trailer))?)?;
        self.output.flush().map_err(unwritable)?;
        Ok(self.checksum)
    }

    fn put(&mut self, line: &str) -> Result<(), CommandError> {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        writeln!(self.output, "{line}").map_err(unwritable)
    }
}

fn frame(frame: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(frame)
        .map_err(|error| CommandError::caused("could not write the dump as JSON", error))
}

fn unwritable(error: std::io::Error) -> CommandError {
    CommandError::caused("could not write the dump", error)
}

/// Reads a verified dump.
#[derive(Debug)]
pub struct DumpReader {
    name: String,
    lines: BufReader<File>,
    number: u64,
    counts: Counts,
}

impl DumpReader {
    /// Opens a dump, and verifies it by a first read. `None` reads standard input. Standard input and pipes are copied
    /// into a temporary file.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read, is not a dump, has a newer format, is incomplete, or was changed.
    pub fn open(path: Option<&Path>) -> Result<Self, CommandError> {
        let name = path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        let unreadable = |error| CommandError::caused(format!("could not read {name}"), error);
        let file = match path {
            Some(path) if path.is_file() => File::open(path).map_err(unreadable)?,
            Some(path) => spool(&name, input::open_file(path).map_err(unreadable)?)?,
            None => spool(&name, std::io::stdin().lock())?,
        };
        let mut reader =
            Self { lines: BufReader::new(file), number: 0, counts: Counts::default(), name: name.clone() };
        reader.verify()?;
        reader.lines.rewind().map_err(unreadable)?;
        reader.number = 0;
        // The header.
        reader.read_line_text()?;
        Ok(reader)
    }

    /// Reads the whole dump.
    fn verify(&mut self) -> Result<(), CommandError> {
        let Some(first) = self.read_line_text()? else { return Err(self.import_error("it is empty")) };
        check_header(&self.name, &first)?;
        let mut hash = Sha256::new();
        let mut feed = |line: &str| {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        };
        feed(&first);
        loop {
            let Some(line) = self.read_line_text()? else {
                return Err(self.import_error("it is cut off: its trailer is missing"));
            };
            if line.starts_with(TRAILER_PREFIX) {
                return self.compare(&line, &hex(hash));
            }
            self.counts.add(&self.item(&line)?);
            feed(&line);
        }
    }

    fn compare(&mut self, trailer: &str, sha256: &str) -> Result<(), CommandError> {
        let Ok(Frame::Trailer(trailer)) = serde_json::from_str::<Frame<IgnoredAny, Trailer>>(trailer) else {
            return Err(self.import_error("its trailer cannot be read"));
        };
        if self.read_line_text()?.is_some() {
            return Err(self.import_error("there is content after its trailer"));
        }
        if trailer.counts != self.counts {
            let (said, found) = (trailer.counts, self.counts);
            return Err(self.import_error(&format!("its trailer says {said}, and it contains {found}")));
        }
        if trailer.sha256 != sha256 {
            return Err(
                self.import_error("it was changed or damaged after it was written: its hash does not match")
            );
        }
        Ok(())
    }

    /// Reads a line without its end; `None` at the end of the file.
    fn read_line_text(&mut self) -> Result<Option<String>, CommandError> {
        let mut line = String::new();
        let read = self.lines.by_ref().take(input::MAX_FILE_SIZE).read_line(&mut line);
        let read =
            read.map_err(|error| CommandError::caused(format!("could not read {}", self.name), error))?;
        self.number += 1;
        if line.len() as u64 == input::MAX_FILE_SIZE {
            return Err(self.import_error(&format!("line {}: {}", self.number, input::too_large())));
        }
        if read == 0 {
            return Ok(None);
        }
        match line.strip_suffix('\n') {
            Some(whole) => Ok(Some(whole.to_owned())),
            None => Err(self.import_error("it is cut off in the middle of a line")),
        }
    }

    fn item(&self, line: &str) -> Result<TransferItem, CommandError> {
        TransferItem::from_line(line).map_err(|error| {
            CommandError::caused(format!("could not read line {} of {}", self.number, self.name), error)
        })
    }

    fn import_error(&self, what: &str) -> CommandError {
        import_error(&self.name, what)
    }
}

fn import_error(name: &str, what: &str) -> CommandError {
    CommandError::failed(format!("could not import {name}: {what}"))
}

fn check_header(name: &str, line: &str) -> Result<(), CommandError> {
    let Ok(Frame::Header(header)) = serde_json::from_str::<Frame<Header, IgnoredAny>>(line) else {
        return Err(import_error(
            name,
            "it is not a dump of ECS Scheduler; create one with `ecs-scheduler export`",
        ));
    };
    if header.format <= FORMAT {
        return Ok(());
    }
    let text = format!(
        "it has format {}, and this version knows formats up to {FORMAT}; use the version that wrote it",
        header.format
    );
    Err(import_error(name, &text))
}

#[async_trait]
impl TransferSource for DumpReader {
    async fn next(&mut self) -> Result<Option<TransferItem>, CommandError> {
        let Some(line) = self.read_line_text()? else { return Ok(None) };
        if line.starts_with(TRAILER_PREFIX) {
            return Ok(None);
        }
        self.item(&line).map(Some)
    }

    fn expected(&self) -> u64 {
        self.counts.items()
    }
}

/// Copies an input that can be read only once into a file without a name, so that it can be read twice. An input that
/// does not begin like a dump is refused first, because it may have no end.
fn spool(name: &str, source: impl Read) -> Result<File, CommandError> {
    let unreadable = |error| CommandError::caused(format!("could not read {name}"), error);
    let (mut source, mut first) = (BufReader::new(source), Vec::new());
    source.by_ref().take(input::MAX_FILE_SIZE).read_until(b'\n', &mut first).map_err(unreadable)?;
    if first.is_empty() {
        return Err(import_error(name, "it is empty"));
    }
    check_header(name, &String::from_utf8_lossy(&first))?;
    let mut copy = || {
        let mut file = tempfile::tempfile()?;
        file.write_all(&first)?;
        std::io::copy(&mut source, &mut file)?;
        file.rewind()?;
        Ok(file)
    };
    copy().map_err(unreadable)
}
