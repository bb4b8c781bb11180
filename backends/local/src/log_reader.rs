//! Reads the log of one container: the rotated file and the current one, as one text.
//!
//! A position in the log names a file by its inode and its time of creation, and an offset in it, so that it stays valid when the log
//! is rotated. If the file was removed, the read continues with the oldest line that is left.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

#[cfg(test)]
mod tests;

/// The maximum length of a line in bytes. A longer one continues as the next line.
const MAX_LINE: usize = 16 * 1024;

/// A file, by its inode and its time of creation in nanoseconds; 0 where the system does not record it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    inode: u64,
    created: u128,
}

/// A position in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPosition {
    file: FileId,
    offset: u64,
}

impl LogPosition {
    /// Reads a position that [`Self::to_text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let position = Self {
            file: FileId { inode: parts.next()?.parse().ok()?, created: parts.next()?.parse().ok()? },
            offset: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(position)
    }

    pub(crate) fn to_text(self) -> String {
        format!("{}-{}-{}", self.file.inode, self.file.created, self.offset)
    }
}

/// The start of a read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadStart {
    Oldest,
    /// The newest lines, this many.
    Newest(usize),
    After(LogPosition),
}

/// The bounds of a read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadLimits {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// Lines of a log.
#[derive(Debug, Default)]
pub(crate) struct ReadLines {
    pub(crate) texts: Vec<String>,
    /// The position after the last line; absent when there is no file.
    pub(crate) next: Option<LogPosition>,
    pub(crate) has_more: bool,
    /// Whether the file of the position was removed.
    pub(crate) has_gap: bool,
}

/// A file of the log, as long as it was when it was opened.
#[derive(Debug)]
struct LogPart {
    file: File,
    id: FileId,
    len: u64,
}

impl LogPart {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        let created = meta.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let id = FileId { inode: meta.ino(), created: created.map_or(0, |age| age.as_nanos()) };
        Ok(Some(Self { file, id, len: meta.len() }))
    }
}

/// The files of a log, oldest first, as one text.
#[derive(Debug)]
pub(crate) struct LogReader {
    parts: Vec<LogPart>,
    /// Whether nothing is written any more: a last line without a line end is complete.
    has_ended: bool,
}

impl LogReader {
    /// Opens the files of a log. There may be none.
    pub(crate) fn open(current: &Path, rotated: &Path, has_ended: bool) -> io::Result<Self> {
        // A rotation in between makes both the same file; the newest one is then read next time.
        let current = LogPart::open(current)?;
        let rotated = LogPart::open(rotated)?;
        let is_same = matches!((&rotated, &current), (Some(old), Some(new)) if old.id == new.id);
        let parts = rotated.filter(|_| !is_same).into_iter().chain(current).collect();
        Ok(Self { parts, has_ended })
    }

    /// Tells whether the log has a file.
    pub(crate) fn exists(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Reads complete lines.
    pub(crate) fn read(&mut self, from: ReadStart, limits: ReadLimits) -> io::Result<ReadLines> {
        let total = self.len();
        let (start, has_gap) = match from {
            ReadStart::Oldest => (0, false),
            ReadStart::Newest(lines) => (self.find_newest(lines.min(limits.lines), limits.bytes)?, false),
            ReadStart::After(position) => match self.offset_of(position) {
                Some(offset) => (offset, false),
                None => (0, true),
            },
        };
        let text = self.read_range(start, limits.bytes)?;
        let reaches_end = start + to_u64(text.len()) == total;
        let split = split_lines(&text, limits, reaches_end && self.has_ended);
        let next = self.position_at(start + to_u64(split.len));
        // The rest of a text that was split to its end is an incomplete line.
        let has_more = !reaches_end || (split.is_full && split.len < text.len());
        Ok(ReadLines { texts: split.lines, next, has_more, has_gap })
    }

    fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len).sum()
    }

    /// Returns the offset of a position in the whole text, if its file is still there.
    fn offset_of(&self, position: LogPosition) -> Option<u64> {
        let mut before = 0;
        for part in &self.parts {
            if part.id == position.file && position.offset <= part.len {
                return Some(before + position.offset);
            }
            before += part.len;
        }
        None
    }

    /// Returns the position of an offset in the whole text.
    fn position_at(&self, mut offset: u64) -> Option<LogPosition> {
        let (last, earlier) = self.parts.split_last()?;
        for part in earlier {
            if offset < part.len {
                return Some(LogPosition { file: part.id, offset });
            }
            offset -= part.len;
        }
        Some(LogPosition { file: last.id, offset })
    }

    /// Returns the offset at which the newest lines begin, so that they have at most `bytes`.
    fn find_newest(&mut self, lines: usize, bytes: usize) -> io::Result<u64> {
        let total = self.len();
        let start = total.saturating_sub(to_u64(bytes));
        let text = self.read_range(start, bytes)?;
        let ends = |byte: &u8| *byte == b'\n';
        // An incomplete last line is not read, so it does not count.
        let complete = match text.iter().rposition(ends) {
            Some(end) if !self.has_ended => &text[..=end],
            None if !self.has_ended => &[][..],
            _ => &text[..],
        };
        let body = complete.strip_suffix(b"\n").unwrap_or(complete);
        let starts = body.iter().enumerate().rev().filter(|(_, byte)| ends(byte)).map(|(index, _)| index + 1);
        let newest = starts.take(lines).collect::<Vec<_>>();
        if newest.len() == lines {
            return Ok(start + to_u64(newest[lines - 1]));
        }
        // The first line of the range begins before it, unless the range begins with the log.
        let first = if start == 0 { 0 } else { newest.last().copied().unwrap_or(0) };
        Ok(start + to_u64(first))
    }

    /// Reads at most `bytes` from an offset on.
    fn read_range(&mut self, start: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut before = 0;
        for part in &mut self.parts {
            let offset = start.saturating_sub(before).min(part.len);
            let left = to_u64(bytes - text.len()).min(part.len - offset);
            before += part.len;
            if left > 0 {
                part.file.seek(SeekFrom::Start(offset))?;
                (&mut part.file).take(left).read_to_end(&mut text)?;
            }
        }
        Ok(text)
    }
}

/// The lines at the beginning of a text.
#[derive(Debug, Default)]
struct SplitText {
    lines: Vec<String>,
    /// The length of the lines in the text, with their line ends.
    len: usize,
    /// Whether a bound ended the split.
    is_full: bool,
}

/// Splits a text into lines, as many as the bounds allow. A rest without a line end is a line only if the text is `final`.
fn split_lines(text: &[u8], limits: ReadLimits, is_final: bool) -> SplitText {
    let mut split = SplitText::default();
    let mut bytes = 0;
    while split.len < text.len() {
        let rest = &text[split.len..];
        let window = &rest[..rest.len().min(MAX_LINE + 1)];
        let (line, len) = match window.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], end + 1),
            None if rest.len() > MAX_LINE => {
                let end = character_end(rest, MAX_LINE);
                (&rest[..end], end)
            }
            None if is_final => (rest, rest.len()),
            None => break,
        };
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        bytes += line.len();
        // Bytes that are no UTF-8 become longer, so that the bound may be reached before the text ends.
        if split.lines.len() == limits.lines || (bytes > limits.bytes && !split.lines.is_empty()) {
            split.is_full = true;
            break;
        }
        split.lines.push(line.into_owned());
        split.len += len;
    }
    split
}

/// Returns the last index up to `most` at which no character of UTF-8 is cut; `most` if there is none nearby.
fn character_end(text: &[u8], most: usize) -> usize {
    let is_start = |index: &usize| text[*index] & 0xc0 != 0x80;
    (most - 3..=most).rev().find(is_start).unwrap_or(most)
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
