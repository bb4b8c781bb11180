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
        let (mut mode, mut roots) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(decode(value)?.into()),
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
        Ok(Self { config, trust, roots, name })
    }
}

fn wrong(remedy: &str) -> StoreError {
    StoreError::fault(FaultKind::Config, format!("could not read ECSS_POSTGRES_URL: {remedy}"))
}

fn decode(value: &str) -> Result<String, StoreError> {
    let decoded = percent_decode_str(value).decode_utf8();
    decoded.map(Into::into).map_err(|_| wrong("the value of sslrootcert is not UTF-8"))
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
    let given = config.get_options().unwrap_or_default().to_owned();
    let ours = [("statement_timeout", STATEMENT), ("idle_in_transaction_session_timeout", IDLE)];
    let missing = ours.iter().filter(|(name, _)| !given.contains(name));
    let options = missing
        .fold(given.clone(), |options, (name, most)| format!("{options} -c {name}={}", most.as_millis()));
    config.options(options.trim());
}
