//! Input files of commands. Each is read whole, up to a limit, so that an endless device does not fill the memory.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use serde_json::Value;

use crate::error::CommandError;
use crate::json;

#[cfg(test)]
mod tests;

/// The maximum size of an input file, in bytes.
pub(crate) const MAX_FILE_SIZE: u64 = 64 * 1024 * 1024;

/// Opens a file for reading. A pipe without a writer is an error: a read would wait forever.
///
/// # Errors
///
/// Fails when it cannot be opened.
pub(crate) fn open_file(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let file = File::from(open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
    let mut first = Vec::new();
    if file.metadata()?.file_type().is_fifo() {
        let mut byte = [0];
        match (&file).read(&mut byte) {
            Ok(0) => return Err(io::Error::other("it is a pipe without a writer")),
            Ok(_) => first.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    fcntl_setfl(&file, OFlags::empty())?;
    Ok(Box::new(Cursor::new(first).chain(file)))
}

/// Reads a file whole, as text; `-` is standard input.
///
/// # Errors
///
/// Fails when it cannot be read, is longer than [`MAX_FILE_SIZE`] or is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    if is_standard(path) { read_bounded(io::stdin().lock()) } else { read_bounded(open_file(path)?) }
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn read_bounded(source: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Makes the error about an input that is longer than [`MAX_FILE_SIZE`].
pub(crate) fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {} MiB", MAX_FILE_SIZE >> 20))
}

/// The JSON documents of a file.
#[derive(Debug)]
pub(crate) struct InputDocuments {
    /// Each document with its name in messages: the file, and in an array the name of the job or its index.
    pub(crate) items: Vec<(String, Value)>,
    /// Whether the file is an array, or the answer of `import --json`.
    pub(crate) many: bool,
}

/// Reads one document, or several: an array as `import keda` prints it, or the objects that `import keda --json`
/// prints.
///
/// # Errors
///
/// Fails when the file cannot be read, is not JSON, or is an array that holds nothing.
pub(crate) fn read_documents(file: &Path) -> Result<InputDocuments, CommandError> {
    let name = file.display().to_string();
    let document = read_document(file)?;
    let items: Vec<Value> = match (&document, &document["objects"]) {
        (Value::Array(items), _) => items.clone(),
        (Value::Object(answer), Value::Array(objects)) if answer.len() == 1 => {
            objects.iter().map(|object| object["job"].clone()).filter(|job| !job.is_null()).collect()
        }
        _ => return Ok(InputDocuments { items: vec![(name, document)], many: false }),
    };
    if items.is_empty() {
        return Err(CommandError::failed(format!("could not read \"{name}\": it contains no job")));
    }
    let named = |(place, item): (usize, Value)| {
        let id = item["id"].as_str().map_or_else(|| format!("[{place}]"), |id| format!(" {id}"));
        (format!("{name}{id}"), item)
    };
    Ok(InputDocuments { items: items.into_iter().enumerate().map(named).collect(), many: true })
}

/// Reads a JSON document from a file or standard input.
///
/// # Errors
///
/// Fails when it cannot be read or is not JSON.
pub(crate) fn read_document(file: &Path) -> Result<Value, CommandError> {
    let name =
        if is_standard(file) { "standard input".to_owned() } else { format!("\"{}\"", file.display()) };
    let text = self::read_text(file)
        .map_err(|error| CommandError::caused(format!("could not read {name}"), error))?;
    json::parse(text.as_bytes())
        .map_err(|error| CommandError::caused(format!("could not read {name} as JSON"), error))
}
