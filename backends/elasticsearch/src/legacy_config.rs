//! The options of the Elasticsearch client in the configuration file of the Python version.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::{Cluster, Credentials, Node, Secret};

#[cfg(test)]
mod tests;

/// Options of timeouts and retries. They have no effect: this store has its own.
const IGNORED: [&str; 12] = [
    "timeout",
    "request_timeout",
    "max_retries",
    "retry_on_status",
    "retry_on_timeout",
    "maxsize",
    "http_compress",
    "sniff_on_start",
    "sniff_on_connection_fail",
    "sniffer_timeout",
    "sniff_timeout",
    "ssl_show_warn",
];

/// The object under `elasticsearch.client`: the keyword arguments of elasticsearch-py 7.
///
/// Addresses, credentials and certificates are used; timeouts and retries are ignored; any other option is refused.
///
/// # Source
///
/// <https://elasticsearch-py.readthedocs.io/en/v7.17.9/api.html#elasticsearch.Elasticsearch>
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LegacyConfig {
    hosts: Option<OneOrMany<Host>>,
    cloud_id: Option<String>,
    http_auth: Option<Pair>,
    basic_auth: Option<Pair>,
    api_key: Option<Pair>,
    port: Option<u16>,
    use_ssl: Option<bool>,
    scheme: Option<String>,
    url_prefix: Option<String>,
    verify_certs: Option<bool>,
    ca_certs: Option<PathBuf>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// A value or a list of values.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// A host as a URL or as an object.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Host {
    Url(String),
    Parts(HostParts),
}

/// A host as an object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostParts {
    host: Option<String>,
    port: Option<u16>,
    use_ssl: Option<bool>,
    scheme: Option<String>,
    url_prefix: Option<String>,
    http_auth: Option<Pair>,
}

/// Two texts, joined by a colon or in a list, such as user and password.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Pair {
    Joined(String),
    List(String, String),
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl LegacyConfig {
    /// Parses the object.
    ///
    /// # Errors
    ///
    /// Fails when it has an unknown option, or a value of another type.
    pub fn parse(json: &str) -> Result<Self, String> {
        let options: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        match options.rest.keys().find(|name| !IGNORED.contains(&name.as_str())) {
            Some(name) => Err(format!("option \"{name}\" is not supported")),
            None => Ok(options),
        }
    }

    /// Sets the fields of `cluster` that are not set.
    ///
    /// # Errors
    ///
    /// Fails when a host is invalid, or when the verification of certificates is disabled.
    pub fn apply_to(self, cluster: &mut Cluster) -> Result<(), String> {
        if self.verify_certs == Some(false) {
            let remedy = "name the cluster's certificates with ca_certs, or use http:// on a trusted network";
            return Err(format!("verify_certs is false, but certificates are always verified; {remedy}"));
        }
        if cluster.credentials.is_none() {
            cluster.credentials = self.credentials()?;
        }
        if cluster.authority.is_none() {
            cluster.authority.clone_from(&self.ca_certs);
        }
        if cluster.nodes.is_empty() {
            cluster.nodes = self.nodes()?;
        }
        Ok(())
    }

    fn credentials(&self) -> Result<Option<Credentials>, String> {
        if let Some(key) = &self.api_key {
            let text = match key {
                Pair::Joined(key) => key.clone(),
                Pair::List(id, key) => format!("{id}:{key}"),
            };
            return Ok(Some(Credentials::ApiKey(Secret::new(text))));
        }
        self.http_auth.as_ref().or(self.basic_auth.as_ref()).map(basic_credentials).transpose()
    }

    fn nodes(&self) -> Result<Vec<Node>, String> {
        if let Some(id) = &self.cloud_id {
            return Ok(vec![parse_cloud_id(id)?]);
        }
        let hosts = match &self.hosts {
            None => return Ok(Vec::new()),
            Some(OneOrMany::One(host)) => std::slice::from_ref(host),
            Some(OneOrMany::Many(hosts)) => hosts,
        };
        hosts.iter().map(|host| self.node(host)).collect()
    }

    fn node(&self, host: &Host) -> Result<Node, String> {
        let url = match host {
            Host::Url(url) if url.contains("://") => return parse_node(url),
            Host::Url(name) => self.url(name, None, None, None, None),
            Host::Parts(parts) => {
                let name = parts.host.as_deref().unwrap_or("localhost");
                let prefix = parts.url_prefix.as_deref();
                self.url(name, parts.port, parts.use_ssl, parts.scheme.as_deref(), prefix)
            }
        };
        let node = parse_node(&url)?;
        let credentials = match host {
            Host::Parts(HostParts { http_auth: Some(pair), .. }) => Some(basic_credentials(pair)?),
            Host::Parts(_) | Host::Url(_) => None,
        };
        Ok(node.or_credentials(credentials.as_ref()))
    }

    /// Builds the URL of a host; the options for all hosts are the defaults.
    fn url(
        &self,
        name: &str,
        port: Option<u16>,
        ssl: Option<bool>,
        scheme: Option<&str>,
        prefix: Option<&str>,
    ) -> String {
        let secure = ssl.or(self.use_ssl).unwrap_or(false)
            || scheme.or(self.scheme.as_deref()).is_some_and(|scheme| scheme == "https");
        let scheme = if secure { "https" } else { "http" };
        let named = name.rsplit_once('@').map_or(name, |(_, host)| host);
        let has_port = named.rsplit_once(']').map_or(named, |(_, after)| after).contains(':');
        // elasticsearch-py uses the default port with TLS too, unless a URL has the scheme https.
        let port = if has_port { String::new() } else { format!(":{}", port.or(self.port).unwrap_or(9200)) };
        let prefix = prefix.or(self.url_prefix.as_deref()).unwrap_or_default().trim_matches('/');
        format!("{scheme}://{name}{port}/{prefix}")
    }
}

fn parse_node(url: &str) -> Result<Node, String> {
    url.parse().map_err(|error: crate::cluster::InvalidNode| error.to_string())
}

fn basic_credentials(pair: &Pair) -> Result<Credentials, String> {
    let (user, password) = match pair {
        Pair::Joined(text) => text.split_once(':').ok_or("credentials must be \"user:password\"")?,
        Pair::List(user, password) => (user.as_str(), password.as_str()),
    };
    Ok(Credentials::Basic { user: user.to_owned(), password: Secret::new(password) })
}

/// Parses an id of Elastic Cloud: a name, a colon, and in base64 the domain, `$` and the cluster's id.
fn parse_cloud_id(id: &str) -> Result<Node, String> {
    let invalid = || "cloud_id is invalid; copy it from the console of Elastic Cloud".to_owned();
    let encoded = id.rsplit_once(':').map_or(id, |(_, encoded)| encoded);
    let decoded = STANDARD.decode(encoded).map_err(|_| invalid())?;
    let decoded = String::from_utf8(decoded).map_err(|_| invalid())?;
    let mut parts = decoded.split('$');
    let (Some(domain), Some(cluster)) = (parts.next(), parts.next().filter(|cluster| !cluster.is_empty()))
    else {
        return Err(invalid());
    };
    let (domain, port) = domain.split_once(':').unwrap_or((domain, "443"));
    parse_node(&format!("https://{cluster}.{domain}:{port}"))
}
