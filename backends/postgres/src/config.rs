//! The connection URL: parses it, and adds timeouts, TLS verification and session settings.

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
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server works on one statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a hanging process may leave a transaction open while others wait for its locks. Longer than a round trip to a
/// server that is slow by two seconds, and shorter than the lease of a replica.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the operating system keeps a connection whose peer is silent.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How the server's certificate is verified; the modes are libpq's.
///
/// # Source
///
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsVerification {
    /// Not at all: only passive eavesdropping is prevented.
    Skip,
    /// A trusted authority must have signed it.
    Ca,
    /// A trusted authority must have signed it for this host.
    Full,
}

/// How to connect to a database.
#[derive(Clone)]
pub(crate) struct ConnectionConfig {
    pub(crate) config: Config,
    pub(crate) verification: TlsVerification,
    /// A file of trusted authorities that replaces the system's.
    pub(crate) roots: Option<PathBuf>,
    /// The settings of every session, by name. They are set after the session has begun: a connection pooler refuses them
    /// as startup parameters.
    pub(crate) settings: Vec<(String, String)>,
    /// The name for messages: `"scheduler" at db.example.com:5432`.
    pub(crate) name: String,
}

impl std::fmt::Debug for ConnectionConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl ConnectionConfig {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// Fails when the text is no URL of PostgreSQL, or has an unknown parameter. The message does not repeat the URL,
    /// which holds a password.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(invalid_url("it must begin with postgres://"));
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
            let message = "could not read the URL of the PostgreSQL database: write postgres://user:password@host:5432/database, \
                           with reserved characters as %40";
            StoreError::with_source(FaultKind::Config, message, error)
        })?;
        let verification = set_ssl_mode(&mut config, mode, roots.is_some())?;
        let name = display_name(&config)?;
        set_defaults(&mut config);
        let settings = session_settings(&mut config, &options);
        Ok(Self { config, verification, roots, settings, name })
    }

    /// Tells whether sessions of both find the same tables. The default search path begins with the user's schema.
    pub(crate) fn is_same_database(&self, other: &Self) -> bool {
        self.name == other.name
            && self.config.get_user() == other.config.get_user()
            && self.config.get_options() == other.config.get_options()
            && self.search_path() == other.search_path()
    }

    fn search_path(&self) -> Option<&str> {
        let found = self.settings.iter().find(|(name, _)| name == "search_path");
        found.map(|(_, path)| path.as_str())
    }
}

fn invalid_url(remedy: &str) -> StoreError {
    StoreError::fault(
        FaultKind::Config,
        format!("could not read the URL of the PostgreSQL database: {remedy}"),
    )
}

fn decode(value: &str) -> Result<String, StoreError> {
    let decoded = percent_decode_str(value).decode_utf8();
    decoded.map(Into::into).map_err(|_| invalid_url("the value of a parameter is not UTF-8"))
}

/// Applies `sslmode`.
fn set_ssl_mode(
    config: &mut Config,
    mode: Option<&str>,
    has_roots: bool,
) -> Result<TlsVerification, StoreError> {
    let (mode, verification) = match mode {
        Some("disable") => (SslMode::Disable, TlsVerification::Skip),
        None | Some("prefer") => (SslMode::Prefer, TlsVerification::Skip),
        // As in libpq: a file of authorities implies verification.
        Some("require") if has_roots => (SslMode::Require, TlsVerification::Ca),
        Some("require") => (SslMode::Require, TlsVerification::Skip),
        Some("verify-ca") => (SslMode::Require, TlsVerification::Ca),
        Some("verify-full") => (SslMode::Require, TlsVerification::Full),
        Some(other) => {
            let known = "disable, prefer, require, verify-ca, verify-full";
            return Err(invalid_url(&format!("sslmode is \"{other}\"; known are {known}")));
        }
    };
    config.ssl_mode(mode);
    Ok(verification)
}

/// Names the database and its hosts as libpq would find them.
fn display_name(config: &Config) -> Result<String, StoreError> {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(host) => format!("{host}:{port}"),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    if hosts.is_empty() {
        return Err(invalid_url("it names no host"));
    }
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    Ok(format!("\"{database}\" at {}", hosts.join(", ")))
}

/// Sets timeouts and the application's name where the URL does not.
fn set_defaults(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(KEEPALIVE);
    }
    if config.get_application_name().is_none() {
        config.application_name("ecs-scheduler");
    }
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 3).keepalives_retries(3);
}

/// Takes the settings of the session from the URL's `options`, and adds the defaults. Options that cannot be parsed stay
/// startup parameters.
fn session_settings(config: &mut Config, options: &str) -> Vec<(String, String)> {
    let (mut settings, unknown) = match parse_options(options) {
        Some(settings) => (settings, ""),
        None => (Vec::new(), options),
    };
    if !unknown.is_empty() {
        config.options(unknown);
    }
    for (name, timeout) in [
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
    ] {
        if !unknown.contains(name) && settings.iter().all(|(given, _)| given != name) {
            settings.push((name.to_owned(), timeout.as_millis().to_string()));
        }
    }
    // Locks and compare-and-set are designed for this level; a stricter one aborts transactions without need.
    settings.push(("default_transaction_isolation".to_owned(), "read committed".to_owned()));
    settings
}

/// Parses `options` as the server does: words, with blanks as `\ `, each `-c name=value`, `-cname=value` or
/// `--name=value`. Returns nothing when there are other options, which can only be set when a session begins.
fn parse_options(options: &str) -> Option<Vec<(String, String)>> {
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
