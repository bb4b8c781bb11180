//! Diagnoses: the known causes of failed tasks, each with its remedy.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The known cause of a failed task or launch, and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Diagnosis {
    /// The name of the cause, for programs: camel case, and the same in every version.
    pub code: Cow<'static, str>,
    /// The cause in words.
    pub text: Cow<'static, str>,
    /// The remedy in words.
    pub remedy: Cow<'static, str>,
    /// A page about the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Cow<'static, str>>,
}

impl Diagnosis {
    /// The diagnosis of a task that the launcher does not know any more. It may have succeeded.
    pub const TASK_LOST: Self = Self::new(
        "taskLost",
        "the launcher has not known this task for five minutes",
        "look for its end in the platform's own records: it may have succeeded",
        None,
    );

    /// Makes the diagnosis of a cause from a table.
    #[must_use]
    pub const fn new(
        code: &'static str,
        text: &'static str,
        remedy: &'static str,
        link: Option<&'static str>,
    ) -> Self {
        let link = match link {
            Some(link) => Some(Cow::Borrowed(link)),
            None => None,
        };
        Self { code: Cow::Borrowed(code), text: Cow::Borrowed(text), remedy: Cow::Borrowed(remedy), link }
    }

    /// Replaces the words for the cause, for words that contain numbers or names.
    #[must_use]
    pub fn with_text(self, text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), ..self }
    }

    /// Replaces the words for the remedy.
    #[must_use]
    pub(crate) fn with_remedy(self, remedy: &'static str) -> Self {
        Self { remedy: Cow::Borrowed(remedy), ..self }
    }

    /// Returns what the exit code of a failed task, and whether it `started`, say about the cause.
    #[must_use]
    pub(crate) fn from_exit(exit_code: Option<i32>, started: bool) -> Self {
        match exit_code {
            Some(code) => Self::from_exit_code(code),
            None if !started => Self::new(
                "notStarted",
                "the task failed to start",
                "its reason says why, if the platform gave one",
                None,
            ),
            None => Self::new(
                "noExitCode",
                "the task ended without an exit code",
                "its reason says why, if the platform gave one; read its log",
                None,
            ),
        }
    }

    /// Returns what an exit code other than 0 says about its cause. Codes above 128 mean a signal: 128 plus its number.
    #[must_use]
    pub fn from_exit_code(code: i32) -> Self {
        match code {
            126 => Self::new(
                "notExecutable",
                "the command could not be executed (exit code 126)",
                "check the file's permissions and its interpreter",
                None,
            ),
            127 => Self::new(
                "commandNotFound",
                "the command was not found (exit code 127)",
                "check the name of the command, the image and PATH",
                None,
            ),
            137 => Self::new(
                "killed",
                "the program was killed (SIGKILL, exit code 137), usually for lack of memory",
                "raise the memory of the container or the task; if the program was asked to stop, raise its stop timeout",
                None,
            ),
            139 => Self::new(
                "segmentationFault",
                "the program crashed (SIGSEGV, exit code 139)",
                "look for a fault in native code, or a library of another version or processor architecture",
                None,
            ),
            143 => Self::new(
                "terminated",
                "the program was asked to stop (SIGTERM, exit code 143)",
                "find out who stopped it: a deployment, the host, or another container of the task",
                None,
            ),
            code => Self::new(
                "exitCode",
                "",
                "read the log of the task; the exit code is the program's own",
                None,
            )
            .with_text(format!("the program exited with code {code}")),
        }
    }
}

/// Writes the cause, followed by the remedy.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.text, self.remedy)
    }
}
