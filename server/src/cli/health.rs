//! `ecs-scheduler health`: probes the configured server, for container health checks.

use crate::client::{Client, reachable};
use crate::config::setting::SERVER;
use crate::config::values::Values;
use crate::config::{ConfigRejected, resolve_listen, resolve_server};
use crate::error::CommandError;

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
