//! Numbers of attributes, and the form of their values (RFC 8489 section 14, RFC 8656 section 18).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(crate) const USERNAME: u16 = 0x0006;
pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(crate) const ERROR_CODE: u16 = 0x0009;
pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
pub(crate) const CHANNEL_NUMBER: u16 = 0x000C;
pub(crate) const LIFETIME: u16 = 0x000D;
pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;
pub(crate) const DATA: u16 = 0x0013;
pub(crate) const REALM: u16 = 0x0014;
pub(crate) const NONCE: u16 = 0x0015;
pub(crate) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
pub(crate) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
pub(crate) const EVEN_PORT: u16 = 0x0018;
pub(crate) const REQUESTED_TRANSPORT: u16 = 0x0019;
pub(crate) const DONT_FRAGMENT: u16 = 0x001A;
pub(crate) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
pub(crate) const PASSWORD_ALGORITHM: u16 = 0x001D;
pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(crate) const RESERVATION_TOKEN: u16 = 0x0022;
pub(crate) const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
pub(crate) const ADDRESS_ERROR_CODE: u16 = 0x8001;
pub(crate) const PASSWORD_ALGORITHMS: u16 = 0x8002;
pub(crate) const FINGERPRINT: u16 = 0x8028;

/// The second and third word of every message (RFC 8489 section 5).
pub(crate) const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// A receiver that does not know an attribute of this kind may go on without it.
pub(crate) const fn is_optional(kind: u16) -> bool {
    kind >= 0x8000
}

/// IPv4 or IPv6, as REQUESTED-ADDRESS-FAMILY numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }

    pub(crate) fn read(number: u8) -> Option<Self> {
        [Self::V4, Self::V6].into_iter().find(|family| family.number() == number)
    }
}

/// The value of an XOR-…-ADDRESS.
pub(crate) struct XorAddress {
    bytes: [u8; 20],
    len: usize,
}

impl XorAddress {
    pub(crate) fn write(address: SocketAddr, transaction: &[u8; 12]) -> Self {
        let mut bytes = [0; 20];
        bytes[1] = Family::of(address.ip()).number();
        let port = address.port().to_be_bytes();
        bytes[2] = port[0] ^ MAGIC_COOKIE[0];
        bytes[3] = port[1] ^ MAGIC_COOKIE[1];
        let len = match address.ip() {
            IpAddr::V4(ip) => {
                bytes[4..8].copy_from_slice(&ip.octets());
                8
            }
            IpAddr::V6(ip) => {
                bytes[4..].copy_from_slice(&ip.octets());
                20
            }
        };
        mask(&mut bytes[4..len], transaction);
        Self { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn read(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
        let [_, family, high, low, ip @ ..] = value else { return None };
        let port = u16::from_be_bytes([high ^ MAGIC_COOKIE[0], low ^ MAGIC_COOKIE[1]]);
        let ip = match Family::read(*family)? {
            Family::V4 => {
                let mut octets = <[u8; 4]>::try_from(ip).ok()?;
                mask(&mut octets, transaction);
                IpAddr::from(Ipv4Addr::from(octets))
            }
            Family::V6 => {
                let mut octets = <[u8; 16]>::try_from(ip).ok()?;
                mask(&mut octets, transaction);
                IpAddr::from(Ipv6Addr::from(octets))
            }
        };
        Some(SocketAddr::new(ip, port))
    }
}

fn mask(ip: &mut [u8], transaction: &[u8; 12]) {
    for (byte, key) in ip.iter_mut().zip(MAGIC_COOKIE.iter().chain(transaction)) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_went() {
        for text in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
            let address: SocketAddr = text.parse().unwrap();
            let written = XorAddress::write(address, &[7; 12]);
            assert_eq!(XorAddress::read(written.as_bytes(), &[7; 12]), Some(address));
        }
    }

    #[test]
    fn lying_addresses_are_none() {
        for value in [&[][..], &[0, 1, 0], &[0, 1, 0, 0, 1, 2, 3], &[0, 2, 0, 0, 1, 2, 3, 4], &[0, 3, 0, 0, 1, 2, 3, 4]]
        {
            assert_eq!(XorAddress::read(value, &[7; 12]), None, "{value:?}");
        }
    }
}
