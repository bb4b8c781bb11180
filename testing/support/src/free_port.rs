//! Ports for servers that are other processes, and so choose no port by themselves.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// The ports below those that Linux gives to connections and to listeners on port 0 (32,768 and above). A port that the system
/// gives out is taken again by any test before a server of 127.0.0.1 has started or restarted on it.
const PORTS: std::ops::Range<u16> = 10_240..32_768;

/// Returns a random port of 127.0.0.1 that nobody listens on, and that the system gives to nobody.
///
/// # Panics
///
/// Panics when a thousand ports are taken.
#[must_use]
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..1_000).map(|_| random_port()).find(is_free).expect("a port is free")
}

fn random_port() -> u16 {
    let random = RandomState::new().build_hasher().finish() % PORTS.len() as u64;
    PORTS.start + u16::try_from(random).expect("it is less than the number of ports")
}
