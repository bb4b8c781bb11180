//! Where the database is: the URL, without what is secret, and without what the driver does not know.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, StoreError};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

#[cfg(test)]
mod tests;

/// How long connecting to one address may take, unless the URL says otherwise.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the server works on one statement.
const STATEMENT: Duration = Duration::from_secs(10);
/// How long a transaction may be left open by a process that hangs: others wait for its locks meanwhile. More than a
/// round trip to a server that is slow by two seconds, less than what a replica is silent before others take over.
const IDLE: Duration = Duration::from_secs(5);
/// After how long without a sign of life the system gives a connection up.
const SILENCE: Duration = Duration::from_secs(15);

/// What is checked of the server's certificate; the names and meanings are libpq's.
///
/// # Source
///
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing: only eavesdroppers are kept out.
    Anyone,
    /// That a known authority made it.
    Authority,
    /// That, and that it is for this host.
    Host,
}

/// A database that can be connected to.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) config: Config,
    pub(crate) trust: Trust,
    /// The authorities, instead of the system's.
    pub(crate) roots: Option<PathBuf>,
    /// The settings that every session is told after it has begun, by name. Not with the beginning: a pool between us refuses that.
    pub(crate) settings: Vec<(String, String)>,
    /// For messages: `"scheduler" at db.example.com:5432`.
    pub(crate) name: String,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Place {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// Fails when it is none, or has a parameter that is not known. The message does not repeat it: it has a password.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(wrong("it must begin with postgres://"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut kept: Vec<&str> = Vec::new();
        let (mut mode, mut roots, mut options) = (None, None, String::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(decode(value)?.into()),
                Some(("options", value)) => options = decode(value)?,
                _ => kept.push(pair),
            }
        }
        let plain = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        let mut config = Config::from_str(&plain).map_err(|error| {
            let message = "could not read ECSS_POSTGRES_URL: write postgres://user:password@host:5432/database, \
                           with reserved characters as %40";
            StoreError::caused(FaultKind::Config, message, error)
        })?;
        let trust = protect(&mut config, mode, roots.is_some())?;
        let name = name(&config)?;
        bound(&mut config);
        let settings = settings(&mut config, &options);
        Ok(Self { config, trust, roots, settings, name })
    }
}

/// Looks for what is wrong with a URL, without connecting.
///
/// # Errors
///
/// Fails when it is none, or has a parameter that is not known. The message does not repeat it: it has a password.
pub fn check_url(url: &str) -> Result<(), StoreError> {
    Place::parse(url).map(drop)
}

fn wrong(remedy: &str) -> StoreError {
    StoreError::fault(FaultKind::Config, format!("could not read ECSS_POSTGRES_URL: {remedy}"))
}

fn decode(value: &str) -> Result<String, StoreError> {
    let decoded = percent_decode_str(value).decode_utf8();
    decoded.map(Into::into).map_err(|_| wrong("the value of a parameter is not UTF-8"))
}

fn protect(config: &mut Config, mode: Option<&str>, has_roots: bool) -> Result<Trust, StoreError> {
    let (mode, trust) = match mode {
        Some("disable") => (SslMode::Disable, Trust::Anyone),
        None | Some("prefer") => (SslMode::Prefer, Trust::Anyone),
        // As in libpq: whoever gives authorities wants them to be asked.
        Some("require") if has_roots => (SslMode::Require, Trust::Authority),
        Some("require") => (SslMode::Require, Trust::Anyone),
        Some("verify-ca") => (SslMode::Require, Trust::Authority),
        Some("verify-full") => (SslMode::Require, Trust::Host),
        Some(other) => {
            let known = "disable, prefer, require, verify-ca, verify-full";
            return Err(wrong(&format!("sslmode is \"{other}\"; known are {known}")));
        }
    };
    config.ssl_mode(mode);
    Ok(trust)
}

/// Names the database and its hosts as libpq would find them.
fn name(config: &Config) -> Result<String, StoreError> {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(place, host)| {
        let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(host) => format!("{host}:{port}"),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    if hosts.is_empty() {
        return Err(wrong("it names no host"));
    }
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    Ok(format!("\"{database}\" at {}", hosts.join(", ")))
}

/// Sets what is not to wait for ever, and does not overrule what the URL says.
fn bound(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    if config.get_application_name().is_none() {
        config.application_name("ecs-scheduler");
    }
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config.keepalives_idle(SILENCE).keepalives_interval(SILENCE / 3).keepalives_retries(3);
}

/// Takes the settings of the session out of the URL's `options`, and adds ours.
fn settings(config: &mut Config, options: &str) -> Vec<(String, String)> {
    let (mut settings, unknown) = match parse(options) {
        Some(settings) => (settings, ""),
        None => (Vec::new(), options),
    };
    if !unknown.is_empty() {
        config.options(unknown);
    }
    for (name, most) in [("statement_timeout", STATEMENT), ("idle_in_transaction_session_timeout", IDLE)] {
        if !unknown.contains(name) && settings.iter().all(|(given, _)| given != name) {
            settings.push((name.to_owned(), most.as_millis().to_string()));
        }
    }
    // Locks and compare-and-set are made for it; stricter ones would have transactions undone for nothing.
    settings.push(("default_transaction_isolation".to_owned(), "read committed".to_owned()));
    settings
}

/// Reads `options` as the server does: words, with blanks as `\ `, each `-c name=value`, `-cname=value` or `--name=value`. There may
/// be others, which only the beginning of a session can set: then there is no answer.
fn parse(options: &str) -> Option<Vec<(String, String)>> {
    let (mut words, mut word, mut escaped) = (Vec::new(), String::new(), false);
    for letter in options.chars() {
        match letter {
            '\\' if !escaped => escaped = true,
            blank if blank.is_ascii_whitespace() && !escaped => words.extend(Some(std::mem::take(&mut word))),
            letter => {
                word.push(letter);
                escaped = false;
            }
        }
    }
    words.push(word);
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(setting), _) | (None, Some(setting)) if !setting.is_empty() => setting.to_owned(),
            (None, Some(_)) => words.next()?,
            (Some(_), _) | (None, None) => return None,
        };
        let (name, value) = setting.split_once('=')?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Some(settings)
}
