//! Servers for the tests of this repository: proxies that inject faults, and emulators of services as processes.
//!
//! A [`TcpProxy`] delays, holds or cuts a connection of any protocol. An [`HttpProxy`] decides about each request of
//! HTTP/1.1. An [`Emulator`] is a service that others wrote.

mod emulator;
mod proxy;

pub use emulator::{Emulator, EmulatorKind};
pub use proxy::http::{HttpAnswer, HttpProxy, HttpRequest, Upstream};
pub use proxy::{ProxyMode, TcpProxy};
