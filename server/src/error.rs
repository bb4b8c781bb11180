//! Errors of commands, and their exit codes.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use ecs_scheduler_core::fault;

use crate::output::printable_lines;

#[cfg(test)]
mod tests;

/// The exit codes, as `doc/cli.md` lists them. Code 2 is clap's own.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "success"),
    (1, "failure; the message gives the reason"),
    (2, "the command line is invalid"),
    (3, "the configuration is invalid, or a path cannot be used"),
    (4, "the server cannot be reached"),
    (5, "the server refused the request, or `jobs fire` launched nothing"),
    (130, "a second signal ended the server before it had stopped"),
];

/// The problems of an invalid configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigRejected(pub Vec<String>);

impl fmt::Display for ConfigRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] ConfigRejected),
    /// The server could not be reached.
    #[error("could not reach {server}; is it running? `ecs-scheduler serve` starts one")]
    Unreachable {
        /// The server's URL.
        server: String,
        /// The cause.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server refused the request, or launched nothing.
    #[error("{message}")]
    Refused {
        /// The attempted request and the server's message.
        message: String,
    },
    /// Anything else.
    #[error("{message}")]
    Failed {
        /// The attempted action and its object.
        message: String,
        /// The cause.
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl CommandError {
    /// Makes an error without a cause.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), cause: None }
    }

    /// Makes an error with its cause.
    #[must_use]
    pub fn caused(
        message: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { message: message.into(), cause: Some(cause.into()) }
    }

    /// Makes an error about something that could not be opened: a rejected configuration if a path is the reason, else as
    /// [`caused`](Self::caused).
    #[must_use]
    pub fn opening(message: impl Into<String>, cause: impl Error + Send + Sync + 'static) -> Self {
        if has_unusable_path(&cause) {
            return ConfigRejected(vec![format!("{}: {}", message.into(), fault::chain(&cause))]).into();
        }
        Self::caused(message, cause)
    }

    /// Returns the printed form of the error: a text for each problem of a configuration, else one text. Further lines
    /// of a text are indented, so that none looks like a separate message.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let texts = match self {
            Self::Config(ConfigRejected(problems)) => problems.clone(),
            Self::Unreachable { .. } | Self::Refused { .. } | Self::Failed { .. } => {
                let cause = self.source().map(|cause| format!(": {}", fault::chain(cause)));
                vec![format!("{self}{}", cause.unwrap_or_default())]
            }
        };
        let indented = |line: &str| if line.starts_with(' ') { line.to_owned() } else { format!("  {line}") };
        let safe = |text: String| {
            let text = text.trim_end().to_owned();
            let (first, further) = text.split_once('\n').unwrap_or((&text, ""));
            let further = further.lines().map(indented);
            let lines: Vec<String> = std::iter::once(first.to_owned()).chain(further).collect();
            printable_lines(&lines.join("\n")).into_owned()
        };
        texts.into_iter().map(safe).collect()
    }

    /// Returns the code that the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed { .. } => 1,
            Self::Config(_) => 3,
            Self::Unreachable { .. } => 4,
            Self::Refused { .. } => 5,
        })
    }
}

/// Tells whether an error, or one of its causes, is that the system refuses a path: no repetition helps, but another path or
/// other permissions.
fn has_unusable_path(error: &(dyn Error + 'static)) -> bool {
    let is_refused = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::InvalidFilename
        )
    };
    let causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    causes.filter_map(|error| error.downcast_ref::<io::Error>()).any(is_refused)
}
