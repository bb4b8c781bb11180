//! The log: text on a terminal, JSON elsewhere, and a file if one is configured.

mod printable;
mod rotate;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Mutex;

use tracing::field::Field;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt};

use self::printable::PrintableJson;
use self::rotate::RotatingFile;
use crate::config::{LogConfig, LogLevel};
use crate::output::printable;

/// The size at which `app.log` is rotated: 5 MiB, as in the Python version.
const MAX_FILE: u64 = 5 * 1024 * 1024;

/// The reason why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be written.
    #[error(
        "could not open the log file in ECSS_LOG_FOLDER \"{folder}\": name a folder that this user can write to"
    )]
    File {
        /// The folder.
        folder: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// This process has a log already.
    #[error("could not set up the log: this process already has one")]
    Twice,
}

/// Starts to log to standard error, and to `app.log` if a folder is configured.
///
/// # Errors
///
/// Fails when the folder cannot be written, or when this process logs already.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let terminal = std::io::stderr().is_terminal();
    let console: Box<dyn Layer<Registry> + Send + Sync> =
        if terminal { text_layer(std::io::stderr).boxed() } else { json_layer(std::io::stderr).boxed() };
    let file = config.folder.as_deref().map(file_layer).transpose()?;
    let layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = std::iter::once(console).chain(file).collect();
    let registry = tracing_subscriber::registry().with(layers.with_filter(targets(config.level)));
    registry.try_init().map_err(|_| LogError::Twice)
}

/// Starts to show the warnings of a command on standard error, each as a line `warning: …`.
///
/// # Errors
///
/// Fails when this process logs already.
pub fn init_warnings() -> Result<(), LogError> {
    let layer = fmt::layer()
        .event_format(WarningFormat)
        .fmt_fields(fmt::format::debug_fn(write_field).delimited(" "))
        .with_writer(std::io::stderr);
    let targets = Targets::new().with_target("ecs_scheduler", Level::WARN);
    let registry = tracing_subscriber::registry().with(layer.with_filter(targets));
    registry.try_init().map_err(|_| LogError::Twice)
}

/// The format of warnings of a command.
struct WarningFormat;

impl<S, N> FormatEvent<S, N> for WarningFormat
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        writer.write_str("warning: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Makes the layer of the text log: a line for each event, with escaped text from outside.
fn text_layer<W>(writer: W) -> impl Layer<Registry>
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    fmt::layer()
        .with_target(false)
        .fmt_fields(fmt::format::debug_fn(write_field).delimited(" "))
        .with_writer(writer)
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    match field.name() {
        "message" => write!(writer, "{}", printable(&value)),
        // The places that libraries with another log name.
        name if name.starts_with("log.") => Ok(()),
        name => write!(writer, "{name}={}", printable(&value)),
    }
}

fn file_layer(folder: &Path) -> Result<Box<dyn Layer<Registry> + Send + Sync>, LogError> {
    let file = RotatingFile::open(folder, MAX_FILE)
        .map_err(|cause| LogError::File { folder: folder.display().to_string(), cause })?;
    Ok(json_layer(Mutex::new(file)).boxed())
}

/// Makes the layer of the JSON log: a document in a line for each event. Characters that a terminal interprets are escaped.
fn json_layer<W>(writer: W) -> impl Layer<Registry>
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    fmt::layer().json().with_writer(PrintableJson(writer))
}

/// Our own events at the configured level; the libraries' warnings, and all their events at `TRACE`.
fn targets(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warning => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let others = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warning | LogLevel::Info | LogLevel::Debug => LevelFilter::WARN,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(others).with_target("ecs_scheduler", own)
}
