//! `ecs-scheduler health`: probes the configured server, for container health checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::client::Client;
use crate::config::setting::SERVER;
use crate::config::values::Values;
use crate::config::{ConfigRejected, resolve_listen, resolve_server};
use crate::error::CommandError;

#[cfg(test)]
mod tests;

/// Probes the server of `ECSS_SERVER`, else the one that listens on `ECSS_LISTEN`.
///
/// # Errors
///
/// Fails if the address is invalid, or if the server is not healthy.
pub async fn run(values: &Values) -> Result<String, CommandError> {
    let refused = |problem| ConfigRejected(vec![problem]);
    let server = match values.get(&SERVER) {
        Some(_) => resolve_server(values).map_err(refused)?,
        None => format!("http://{}", reachable(resolve_listen(values).map_err(refused)?)),
    };
    Client::new(&server)?.get("/healthz").await?;
    Ok(format!("{server} is alive\n"))
}

/// Replaces an unspecified address by loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = listen.ip();
    let ip = match ip {
        _ if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}
