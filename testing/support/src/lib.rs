//! Servers for the tests of this repository: proxies that inject faults, and emulators of services as processes.
//!
//! A [`TcpProxy`] delays, holds or cuts a connection of any protocol. An [`HttpProxy`] decides about each request of
//! HTTP/1.1. An [`Emulator`] is a service that others wrote. A [`RunAddress`] lets the processes of one test binary share a
//! server. A [`free_port`] is for any other process.

mod emulator;
mod free_port;
mod proxy;
mod run_address;

pub use emulator::{Emulator, EmulatorKind};
pub use free_port::free_port;
pub use proxy::http::{HttpAnswer, HttpProxy, HttpRequest, Upstream};
pub use proxy::{ProxyMode, TcpProxy};
pub use run_address::RunAddress;
