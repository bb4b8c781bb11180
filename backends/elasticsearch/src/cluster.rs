//! Where a cluster is, and who we are there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

#[cfg(test)]
mod tests;

/// The port of a node that names none and does not speak TLS, as for the Python version.
const PORT: u16 = 9200;

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
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

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
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

/// One address of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    address: String,
    login: Option<Login>,
}

/// An address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidNode(String);

/// The addresses of a cluster, who we are there and whom we trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The nodes, at least one. The next is asked when one does not answer.
    pub nodes: Vec<Node>,
    /// Who we are at nodes whose address does not say it.
    pub login: Option<Login>,
    /// A file of certificates in PEM that are trusted beside those of the system.
    pub authority: Option<PathBuf>,
}

impl Cluster {
    /// Reads a list of nodes, separated by commas, with or without blanks.
    ///
    /// # Errors
    ///
    /// Fails when one of them cannot be used, or when there is none.
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
    /// Returns its URL, without a slash at the end and without what is secret.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.address.starts_with("https:")
    }

    /// Returns it with this login, unless it has one.
    pub(crate) fn or_login(mut self, login: Option<&Login>) -> Self {
        self.login = self.login.or_else(|| login.cloned());
        self
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// Reads `host`, `host:port` or a URL with `http` or `https`, with or without `user:password@` and a path. Without a
/// port it is 9200, and 443 for `https`, as it is for the Python version.
impl FromStr for Node {
    type Err = InvalidNode;

    fn from_str(text: &str) -> Result<Self, InvalidNode> {
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        // What is written may hold a password, so that it is not repeated.
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
        let login = named.then_some(Login::Basic { user, password: Secret(password) });
        let fixed = url.set_username("").is_ok() && url.set_password(None).is_ok();
        assert!(fixed, "a URL with a host can have a user");
        if url.scheme() == "http" && !names_port(&full) {
            let set = url.set_port(Some(PORT));
            assert!(set.is_ok(), "a URL with a host can have a port");
        }
        Ok(Self { address: url.as_str().trim_end_matches('/').to_owned(), login })
    }
}

/// Tells whether a URL spells its port out: [`Url`] forgets one that is the scheme's own.
fn names_port(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after.contains(':')
}
