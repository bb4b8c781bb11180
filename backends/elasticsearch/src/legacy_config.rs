//! The options of the Elasticsearch client as the Python version's configuration file had them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::{Cluster, Login, Node, Secret};

#[cfg(test)]
mod tests;

/// What says how often and how patiently to ask: our own business.
const WITHOUT_EFFECT: [&str; 12] = [
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

/// The object under `elasticsearch.client`: what elasticsearch-py 7 takes as keywords.
///
/// What says where the cluster is, who we are and whom we trust is honoured; how often and how patiently it is asked is our
/// own business and has no effect; anything else is refused.
///
/// # Source
///
/// <https://elasticsearch-py.readthedocs.io/en/v7.17.9/api.html#elasticsearch.Elasticsearch>
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PythonOptions {
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

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Host {
    Url(String),
    Parts(Parts),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    host: Option<String>,
    port: Option<u16>,
    use_ssl: Option<bool>,
    scheme: Option<String>,
    url_prefix: Option<String>,
    http_auth: Option<Pair>,
}

/// Two texts, joined by a colon or in a list.
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

impl PythonOptions {
    /// Reads the object.
    ///
    /// # Errors
    ///
    /// Fails when it has an option that is neither honoured nor known to be without effect, or a value of another shape.
    pub fn read(json: &str) -> Result<Self, String> {
        let options: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        match options.rest.keys().find(|name| !WITHOUT_EFFECT.contains(&name.as_str())) {
            Some(name) => Err(format!("option \"{name}\" is not supported")),
            None => Ok(options),
        }
    }

    /// Adds to `cluster` what it does not say itself.
    ///
    /// # Errors
    ///
    /// Fails when a host cannot be used, or when certificates are not to be verified.
    pub fn complete(self, cluster: &mut Cluster) -> Result<(), String> {
        if self.verify_certs == Some(false) {
            let remedy =
                "name the cluster's certificates by ca_certs, or speak http:// on a network that is trusted";
            return Err(format!("verify_certs is false, but certificates are always verified; {remedy}"));
        }
        if cluster.login.is_none() {
            cluster.login = self.login()?;
        }
        if cluster.authority.is_none() {
            cluster.authority.clone_from(&self.ca_certs);
        }
        if cluster.nodes.is_empty() {
            cluster.nodes = self.nodes()?;
        }
        Ok(())
    }

    fn login(&self) -> Result<Option<Login>, String> {
        if let Some(key) = &self.api_key {
            let text = match key {
                Pair::Joined(key) => key.clone(),
                Pair::List(id, key) => format!("{id}:{key}"),
            };
            return Ok(Some(Login::ApiKey(Secret::new(text))));
        }
        self.http_auth.as_ref().or(self.basic_auth.as_ref()).map(basic).transpose()
    }

    fn nodes(&self) -> Result<Vec<Node>, String> {
        if let Some(id) = &self.cloud_id {
            return Ok(vec![cloud(id)?]);
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
            Host::Url(url) if url.contains("://") => return parse(url),
            Host::Url(name) => self.url(name, None, None, None, None),
            Host::Parts(parts) => {
                let name = parts.host.as_deref().unwrap_or("localhost");
                let prefix = parts.url_prefix.as_deref();
                self.url(name, parts.port, parts.use_ssl, parts.scheme.as_deref(), prefix)
            }
        };
        let node = parse(&url)?;
        let login = match host {
            Host::Parts(Parts { http_auth: Some(login), .. }) => Some(basic(login)?),
            Host::Parts(_) | Host::Url(_) => None,
        };
        Ok(node.or_login(login.as_ref()))
    }

    /// Puts a URL together; what a host does not say is what the options say of all.
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
        // elasticsearch-py asks for TLS on the usual port too, unless a URL says https.
        let port = if has_port { String::new() } else { format!(":{}", port.or(self.port).unwrap_or(9200)) };
        let prefix = prefix.or(self.url_prefix.as_deref()).unwrap_or_default().trim_matches('/');
        format!("{scheme}://{name}{port}/{prefix}")
    }
}

fn parse(url: &str) -> Result<Node, String> {
    url.parse().map_err(|error: crate::cluster::InvalidNode| error.to_string())
}

fn basic(pair: &Pair) -> Result<Login, String> {
    let (user, password) = match pair {
        Pair::Joined(text) => text.split_once(':').ok_or("a login must be \"user:password\"")?,
        Pair::List(user, password) => (user.as_str(), password.as_str()),
    };
    Ok(Login::Basic { user: user.to_owned(), password: Secret::new(password) })
}

/// Reads an id of Elastic Cloud: a name, a colon, and in base64 the domain, `$` and the cluster's id.
fn cloud(id: &str) -> Result<Node, String> {
    let wrong = || "cloud_id is not one that Elastic Cloud shows".to_owned();
    let encoded = id.rsplit_once(':').map_or(id, |(_, encoded)| encoded);
    let decoded = STANDARD.decode(encoded).map_err(|_| wrong())?;
    let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
    let mut parts = decoded.split('$');
    let (Some(domain), Some(cluster)) = (parts.next(), parts.next().filter(|cluster| !cluster.is_empty()))
    else {
        return Err(wrong());
    };
    let (domain, port) = domain.split_once(':').unwrap_or((domain, "443"));
    parse(&format!("https://{cluster}.{domain}:{port}"))
}
