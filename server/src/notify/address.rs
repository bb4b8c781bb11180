//! The addresses that notifications may be sent to.
//!
//! The address is checked that the connection is made to, not the name: a name may resolve to another address each time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// An entry of the list of allowed receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowedReceiver {
    /// The host of a URL.
    Host(String),
    /// A network: its address, and the length of its prefix.
    Network(IpAddr, u8),
}

impl FromStr for AllowedReceiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address = address.trim_start_matches('[').trim_end_matches(']');
        match (address.parse::<IpAddr>(), prefix) {
            (Ok(address), None) => Ok(Self::Network(address, bits(address))),
            (Ok(address), Some(prefix)) => {
                let prefix = prefix.parse().ok().filter(|prefix| *prefix <= bits(address));
                let prefix =
                    prefix.ok_or_else(|| format!("\"{text}\" has no valid prefix length: 10.0.0.0/8"))?;
                Ok(Self::Network(address, prefix))
            }
            (Err(_), None) if is_host(text) => {
                Ok(Self::Host(text.trim_end_matches('.').to_ascii_lowercase()))
            }
            (Err(_), _) => {
                Err(format!("\"{text}\" is neither a host, an IP address nor a network such as 10.0.0.0/8"))
            }
        }
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c))
}

const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl AllowedReceiver {
    fn contains(&self, address: IpAddr) -> bool {
        let leading = |prefix: u8, bits: u8| u32::from(bits.saturating_sub(prefix));
        match (self, address) {
            (Self::Network(IpAddr::V4(network), prefix), IpAddr::V4(address)) => {
                let shift = leading(*prefix, 32);
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (Self::Network(IpAddr::V6(network), prefix), IpAddr::V6(address)) => {
                let shift = leading(*prefix, 128);
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (Self::Network(..) | Self::Host(_), _) => false,
        }
    }
}

/// The receivers that are allowed. An empty list allows every address but those that are never sent to, and loopback.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AllowList(Vec<AllowedReceiver>);

impl AllowList {
    /// Reads the entries: hosts, addresses and networks.
    ///
    /// # Errors
    ///
    /// Fails with every wrong entry.
    pub(super) fn parse(entries: &[String]) -> Result<Self, Vec<String>> {
        let (mut read, mut wrong) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.parse() {
                Ok(entry) => read.push(entry),
                Err(problem) => wrong.push(problem),
            }
        }
        if wrong.is_empty() { Ok(Self(read)) } else { Err(wrong) }
    }

    /// Checks an address to which a host was resolved.
    pub(super) fn check(&self, host: &str, address: IpAddr) -> Result<(), String> {
        let actual = effective(address);
        if let Some(why) = never(actual) {
            return Err(format!("{host} has the address {address}, which is {why}: nothing is sent there"));
        }
        let is_listed = self.0.iter().any(|entry| entry.contains(actual));
        if actual.is_loopback() && !is_listed {
            return Err(format!(
                "{host} has the address {address}, which is this machine; add it to notify.allow if that is wanted"
            ));
        }
        let host = host.trim_end_matches('.');
        let is_host = self
            .0
            .iter()
            .any(|entry| matches!(entry, AllowedReceiver::Host(known) if known.eq_ignore_ascii_case(host)));
        if self.0.is_empty() || is_listed || is_host {
            return Ok(());
        }
        Err(format!("neither {host} nor its address {address} is in notify.allow"))
    }
}

/// Returns the IPv4 address that an IPv6 address stands for, or the address itself.
fn effective(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let low = |segments: [u16; 8], at: usize| {
        let bits = u32::from(segments[at]) << 16 | u32::from(segments[at + 1]);
        IpAddr::V4(Ipv4Addr::from_bits(bits))
    };
    match v6.segments() {
        // Mapped, compatible and translated addresses (RFC 4291, RFC 2765), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0 | 1, ..] => {
            low(v6.segments(), 6)
        }
        [0, 0, 0, 0, 0, 0, high, low_part] if (high, low_part) > (0, 1) => low(v6.segments(), 6),
        [0x2002, ..] => low(v6.segments(), 1),
        _ => address,
    }
}

/// Addresses at which clouds tell credentials or settings, beside link-local ones: EC2 and Google over IPv6, Alibaba, Azure, Oracle.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Returns why nothing is ever sent to an address.
fn never(address: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&address) || is_ecs_metadata(address) {
        return Some("the metadata service of a cloud");
    }
    let (link_local, special) = match address {
        IpAddr::V4(v4) => {
            (v4.is_link_local(), v4.is_broadcast() || v4.octets()[0] == 0 || v4.octets()[0] >= 240)
        }
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), false),
    };
    if link_local {
        return Some("link-local, as metadata services are");
    }
    (special || address.is_unspecified() || address.is_multicast()).then_some("no address of a receiver")
}

/// All of fd00:ec2::/32 are services of EC2.
fn is_ecs_metadata(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.segments()[..2] == [0xfd00, 0xec2])
}
