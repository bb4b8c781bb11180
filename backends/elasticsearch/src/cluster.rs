//! The addresses of a cluster, credentials and trusted certificates.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

#[cfg(test)]
mod tests;

/// The default port of a node without TLS, as in the Python version.
const DEFAULT_PORT: u16 = 9200;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes a secret of a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The credentials for a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user with a password.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An API key of Elasticsearch: `id:key`, or both encoded as Kibana shows them.
    ApiKey(Secret),
}

/// The address of one node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    address: String,
    credentials: Option<Credentials>,
}

/// The error of an invalid address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidNode(String);

/// The addresses of a cluster, the credentials and the trusted certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The nodes, at least one. A call moves on to the next when one does not answer.
    pub nodes: Vec<Node>,
    /// The credentials for nodes whose address has none.
    pub credentials: Option<Credentials>,
    /// A PEM file of certificates that are trusted in addition to those of the system.
    pub authority: Option<PathBuf>,
}

impl Cluster {
    /// Parses a list of nodes, separated by commas, with or without blanks.
    ///
    /// # Errors
    ///
    /// Fails when an address is invalid, or when the list is empty.
    pub fn nodes(list: &str) -> Result<Vec<Node>, InvalidNode> {
        let nodes: Vec<Node> = list
            .split(',')
            .map(str::trim)
            .filter(|node| !node.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        if nodes.is_empty() { Err(InvalidNode("no node is named".to_owned())) } else { Ok(nodes) }
    }
}

impl Node {
    /// Returns the node's URL, without a slash at the end and without credentials.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.address.starts_with("https:")
    }

    /// Sets the credentials unless the address has its own.
    pub(crate) fn or_credentials(mut self, credentials: Option<&Credentials>) -> Self {
        self.credentials = self.credentials.or_else(|| credentials.cloned());
        self
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// Parses `host`, `host:port` or a URL with `http` or `https`, with or without `user:password@` and a path. The default
/// port is 9200, and 443 for `https`, as in the Python version.
impl FromStr for Node {
    type Err = InvalidNode;

    fn from_str(text: &str) -> Result<Self, InvalidNode> {
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        // The text may hold a password, so the error does not repeat it.
        let mut url =
            Url::parse(&full).map_err(|error| InvalidNode(format!("a node is not a URL: {error}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
            return Err(InvalidNode("a node must be an http:// or https:// URL with a host".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidNode(format!("the URL of node {host} must end with the path")));
        }
        let decode = |part: &str| percent_decode_str(part).decode_utf8().map(String::from);
        let user = decode(url.username());
        let password = decode(url.password().unwrap_or_default());
        let (Ok(user), Ok(password)) = (user, password) else {
            return Err(InvalidNode(format!("user and password of node {host} must be UTF-8")));
        };
        let named = !user.is_empty() || !password.is_empty();
        let credentials = named.then_some(Credentials::Basic { user, password: Secret(password) });
        let fixed = url.set_username("").is_ok() && url.set_password(None).is_ok();
        assert!(fixed, "a URL with a host can have a user");
        if url.scheme() == "http" && !has_explicit_port(&full) {
            let set = url.set_port(Some(DEFAULT_PORT));
            assert!(set.is_ok(), "a URL with a host can have a port");
        }
        Ok(Self { address: url.as_str().trim_end_matches('/').to_owned(), credentials })
    }
}

/// Tells whether a URL has an explicit port: [`Url`] drops the default port of the scheme.
fn has_explicit_port(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after.contains(':')
}
