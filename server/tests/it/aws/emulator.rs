//! Emulators of AWS that others wrote: a second opinion beside our own fake.

use std::path::Path;
use std::process::Stdio;

use reqwest::Client;
use tokio::process::{Child, Command};

use crate::crash::site::{free_port, until};

/// The command that installs them.
const INSTALL: &str = "make emulators";

/// One emulator as a process, in a process group of its own. It ends when its input does, so also when a test is killed.
pub(crate) struct Emulator {
    pub(crate) url: String,
    _process: Child,
}

impl Emulator {
    /// Starts an emulator on a free port, and waits until this path is answered.
    pub(crate) async fn start(name: &str, ready: &str) -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the server is a folder of the workspace");
        let python = root.join(".tools/emulators/bin/python");
        assert!(python.is_file(), "{} is not there; install the emulators by `{INSTALL}`", python.display());
        let port = free_port();
        let process = Command::new(python)
            .arg(root.join("scripts/emulators.py"))
            .args([name, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let http = Client::builder().no_proxy().build().unwrap();
        let ready = format!("{url}{ready}");
        until(&format!("{name} answers (`{INSTALL}` installs it)"), async || {
            http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        Self { url, _process: process }
    }
}
