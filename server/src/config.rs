//! What the operator decided: settings from flags, environment and file, checked before anything starts.
//!
//! [`setting`] is the one table of settings; [`values`] gathers what was set; [`Config`] is what it means. Only this
//! module reads the environment.

pub mod format;
pub mod reference;
pub mod report;
pub mod setting;
pub mod values;

mod file;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use self::setting::{
    AUTH, DATA_DIR, LAUNCHER, LISTEN, LOCAL_TASK_DEFINITIONS, LOG_FOLDER, LOG_LEVEL, MAX_TASKS, NAME, Part,
    SETTINGS, SQLITE_FILE, STORE, Setting,
};
use self::values::Values;

#[cfg(test)]
mod tests;

/// The highest value of `ECSS_MAX_TASKS`.
pub const MAX_TASKS_LIMIT: u32 = 10_000;

/// The most characters of a scheduler's name.
///
/// Tasks are started by `<name>/<job id>`, for which ECS has 128 characters.
pub const NAME_LIMIT: usize = 64;

/// Everything that a server needs to know before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What this scheduler is called.
    pub name: String,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// The bound of every job.
    pub max_tasks: NonZeroU32,
    /// The folder of everything that is kept.
    pub data_dir: PathBuf,
    /// What is logged, and where to.
    pub log: LogConfig,
    /// Where jobs and history are kept.
    pub store: StoreConfig,
    /// What starts tasks.
    pub launcher: LauncherConfig,
}

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How much.
    pub level: LogLevel,
    /// The folder of `app.log`, if it is to be written.
    pub folder: Option<PathBuf>,
}

/// How much is logged; the names are Python's, and `TRACE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `CRITICAL`, `FATAL` and `ERROR`.
    Error,
    /// `WARNING` and `WARN`.
    Warning,
    /// `INFO`.
    Info,
    /// `DEBUG`.
    Debug,
    /// `TRACE` and `NOTSET`: also what the libraries say.
    Trace,
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_uppercase().as_str() {
            "CRITICAL" | "FATAL" | "ERROR" => Ok(Self::Error),
            "WARNING" | "WARN" => Ok(Self::Warning),
            "INFO" => Ok(Self::Info),
            "DEBUG" => Ok(Self::Debug),
            "TRACE" | "NOTSET" => Ok(Self::Trace),
            _ => Err(format!(
                "\"{text}\" is not a log level; known are CRITICAL, ERROR, WARNING, INFO, DEBUG, TRACE"
            )),
        }
    }
}

/// Where jobs and history are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// In this process only.
    Memory,
    /// In a SQLite database.
    Sqlite {
        /// The database.
        file: PathBuf,
    },
}

/// What starts tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LauncherConfig {
    /// Processes of this machine.
    Local {
        /// The folder of task definitions.
        definitions: PathBuf,
    },
}

/// Why a configuration is refused: one line per problem, all that were found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refused(pub Vec<String>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Config {
    /// Gives the settings their meaning.
    ///
    /// # Errors
    ///
    /// Fails with every problem at once: values out of bounds, settings that contradict each other, parts that this
    /// build does not contain, a choice that is missing.
    pub fn resolve(values: &Values) -> Result<Self, Refused> {
        let mut problems = absent_parts(values);
        let parts_missing = !problems.is_empty();
        let name = keep(name(values), &mut problems);
        let listen = keep(listen(values), &mut problems);
        let max_tasks = keep(max_tasks(values), &mut problems);
        let level = keep(log_level(values), &mut problems);
        let store = keep(store(values), &mut problems);
        // Whoever asks for the ECS launcher has chosen; that it is not there was said already.
        let launcher = if parts_missing && values.get(&LAUNCHER).is_none() {
            None
        } else {
            keep(launcher(values), &mut problems)
        };
        match (name, listen, max_tasks, level, store, launcher) {
            (Some(name), Some(listen), Some(max_tasks), Some(level), Some(store), Some(launcher))
                if problems.is_empty() =>
            {
                let log = LogConfig { level, folder: values.get(&LOG_FOLDER).map(|v| v.text.clone().into()) };
                Ok(Self { name, listen, max_tasks, data_dir: data_dir(values), log, store, launcher })
            }
            _ => Err(Refused(problems)),
        }
    }
}

/// Says which of the `known` is nearest to what was written, as a remark in parentheses; empty when none is near.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|name| (strsim::jaro_winkler(name, written), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8)
        .map_or_else(String::new, |(_, name)| format!(" (did you mean \"{name}\"?)"))
}

fn keep<T>(outcome: Result<T, String>, problems: &mut Vec<String>) -> Option<T> {
    outcome.map_err(|problem| problems.push(problem)).ok()
}

fn absent_parts(values: &Values) -> Vec<String> {
    let mut problems = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| values.get(setting).is_some()) {
        if let Part::Absent(part, remedy) = setting.part {
            problems.push(format!("{} is set, but this build has no {part}; {remedy}", setting.name()));
        }
    }
    problems
}

fn name(values: &Values) -> Result<String, String> {
    let name = values.text_or_default(&NAME);
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    if name.len() > NAME_LIMIT || !name.bytes().all(fine) {
        return Err(format!(
            "ECSS_NAME is \"{name}\"; it must be 1 to {NAME_LIMIT} of letters, digits, \"-\", \"_\", \"/\", because tasks \
             are started by <name>/<job id>"
        ));
    }
    Ok(name.to_owned())
}

fn listen(values: &Values) -> Result<SocketAddr, String> {
    let text = values.text_or_default(&LISTEN);
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let address = match local {
        Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        None => text.parse().map_err(|_| {
            format!("ECSS_LISTEN is \"{text}\"; it must be an IP address or localhost, a colon and a port: 127.0.0.1:5000")
        })?,
    };
    let auth = values.get(&AUTH).map(|value| value.text.as_str());
    if let Some(auth) = auth.filter(|auth| !auth.eq_ignore_ascii_case("off")) {
        return Err(format!("ECSS_AUTH is \"{auth}\"; the only value that this build knows is \"off\""));
    }
    if auth.is_none() && !address.ip().is_loopback() {
        return Err(format!(
            "ECSS_LISTEN is {address}, which other machines can reach, and nothing authenticates them; listen on \
             127.0.0.1, or set ECSS_AUTH=off if a proxy or the network keeps strangers out"
        ));
    }
    Ok(address)
}

fn max_tasks(values: &Values) -> Result<NonZeroU32, String> {
    let text = values.text_or_default(&MAX_TASKS);
    text.parse::<NonZeroU32>().ok().filter(|count| count.get() <= MAX_TASKS_LIMIT).ok_or_else(|| {
        format!("ECSS_MAX_TASKS is \"{text}\"; it must be a whole number from 1 to {MAX_TASKS_LIMIT}")
    })
}

fn log_level(values: &Values) -> Result<LogLevel, String> {
    values.text_or_default(&LOG_LEVEL).parse().map_err(|problem: String| format!("ECSS_LOG_LEVEL: {problem}"))
}

fn data_dir(values: &Values) -> PathBuf {
    values.text_or_default(&DATA_DIR).into()
}

fn store(values: &Values) -> Result<StoreConfig, String> {
    let kind = values.get(&STORE).map(|value| value.text.as_str());
    let mut chosen: Vec<String> = kind.map(|kind| format!("ECSS_STORE={kind}")).into_iter().collect();
    if kind == Some("sqlite") {
        chosen.clear();
    }
    for selector in ["sqlite.file", "s3.bucket", "dynamodb.table", "elasticsearch.index", "postgres.url"] {
        let setting = by_key(selector);
        if values.get(setting).is_some() || (selector == "sqlite.file" && kind == Some("sqlite")) {
            chosen.push(setting.name().to_owned());
        }
    }
    if chosen.len() > 1 {
        return Err(format!("{} each choose a store; keep one of them", chosen.join(" and ")));
    }
    match kind {
        Some("memory") => Ok(StoreConfig::Memory),
        None | Some("sqlite") => {
            let file = values.get(&SQLITE_FILE).map(|value| PathBuf::from(&value.text));
            Ok(StoreConfig::Sqlite { file: file.unwrap_or_else(|| data_dir(values).join("scheduler.db")) })
        }
        Some(other) => Err(format!("ECSS_STORE is \"{other}\"; this build has sqlite and memory")),
    }
}

fn launcher(values: &Values) -> Result<LauncherConfig, String> {
    match values.get(&LAUNCHER).map(|value| value.text.as_str()) {
        Some("local") => {
            let folder = values.get(&LOCAL_TASK_DEFINITIONS).map(|value| PathBuf::from(&value.text));
            let definitions = folder.unwrap_or_else(|| data_dir(values).join("task-definitions"));
            Ok(LauncherConfig::Local { definitions })
        }
        Some("ecs") => Err("ECSS_LAUNCHER is \"ecs\", but this build has no ECS launcher; set \
                            ECSS_LAUNCHER=local to run tasks as local processes"
            .to_owned()),
        Some(other) => Err(format!("ECSS_LAUNCHER is \"{other}\"; this build has local")),
        None => Err("nothing says what starts tasks; set ECSS_LAUNCHER=local to run the commands of task \
                     definitions as processes of this machine"
            .to_owned()),
    }
}

fn by_key(key: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.key == key).expect("the key is in the table")
}
