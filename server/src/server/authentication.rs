//! How the clients of a server authenticate: the tokens of its store, and the file for commands on its own machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ecs_scheduler_core::{Clock, Store};

use crate::access::{AccessControl, BootstrapFile, TokenRegister};
use crate::client::reachable;
use crate::config::Config;

/// The file of a running server, which is removed when the server stops.
pub(super) struct Bootstrap {
    file: BootstrapFile,
    data_dir: PathBuf,
}

impl Bootstrap {
    /// Removes the file.
    pub(super) fn remove(self) {
        self.file.remove(&self.data_dir);
    }
}

/// Prepares the authentication of clients, and reports to the log whom the server lets in.
pub(super) fn prepare(
    config: &Config,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    address: SocketAddr,
) -> (AccessControl, Option<Bootstrap>) {
    if !config.auth.tokens {
        tracing::warn!(
            "clients are not authenticated: every program that reaches http://{address} may do everything"
        );
        return (AccessControl::default(), None);
    }
    let mut tokens = TokenRegister::new(Arc::clone(store), Arc::clone(clock));
    let server = format!("http://{}", reachable(address));
    let file = BootstrapFile { server, token: tokens.add_bootstrap() };
    let path = BootstrapFile::path(&config.data_dir);
    let written = match file.write(&config.data_dir) {
        Ok(()) => {
            tracing::info!(
                file = %path.display(),
                "clients need an access token; `ecs-scheduler token create --bootstrap` on this machine makes the first one"
            );
            Some(Bootstrap { file, data_dir: config.data_dir.clone() })
        }
        Err(error) => {
            tracing::warn!(
                file = %path.display(),
                %error,
                "clients need an access token, and `ecs-scheduler token create --bootstrap` does not work: its file cannot be written"
            );
            None
        }
    };
    (AccessControl { tokens: Some(Arc::new(tokens)), open: config.auth.open.clone() }, written)
}
