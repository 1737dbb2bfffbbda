//! To whom a relay may send, and from whom it takes.
//!
//! A relay stands inside the operator's network and answers to strangers. So it reaches public unicast addresses at most, the
//! media ports of this server always (that is what it is for), and anything else only when the operator names it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

/// IPv4 addresses that are no public unicast: RFC 6890 and its registry, and multicast.
const CLOSED_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
];

/// The part of IPv6 that is public unicast (RFC 4291); loopback, link-local, unique local, multicast, IPv4-mapped and
/// NAT64 (`64:ff9b::`) addresses are outside of it.
const OPEN_V6: &str = "2000::/3";

/// What of that is closed all the same: Teredo, ORCHID and benchmarks (2001::/23), documentation, 6to4, which is an IPv4
/// address in disguise, and AS112.
const CLOSED_V6: &[&str] = &["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"];

/// The operator's settings, and what this machine is.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// Networks that are open whatever they are.
    pub allowed: Vec<IpNet>,
    /// Public unicast addresses are open.
    pub public: bool,
    /// The server's own media, at the addresses and ports that clients are told.
    pub media: Vec<SocketAddr>,
    /// The addresses of this machine's interfaces.
    pub machine: Vec<IpAddr>,
}

/// Decides about peers.
#[derive(Debug)]
pub struct Peers {
    allowed: Vec<IpNet>,
    public: bool,
    closed_v4: Vec<IpNet>,
    open_v6: IpNet,
    closed_v6: Vec<IpNet>,
    /// This machine, announced addresses included. Its other ports are behind the firewall for a reason.
    own: HashSet<IpAddr>,
    /// Told address of media → where it is reached from here.
    roads: HashMap<SocketAddr, SocketAddr>,
    /// The same backwards, where the two differ.
    names: HashMap<SocketAddr, SocketAddr>,
}

impl Peers {
    /// Reads the ground.
    #[must_use]
    pub fn new(ground: &Ground) -> Self {
        let nets = |texts: &[&str]| texts.iter().map(|text| net(text)).collect();
        let mut roads = HashMap::new();
        let mut aliases: Vec<IpAddr> = Vec::new();
        for told in &ground.media {
            let here = ground.machine.contains(&told.ip()) || told.ip().is_loopback();
            let reached = if here { told.ip() } else { alias(&mut aliases, told.ip()) };
            roads.insert(*told, SocketAddr::new(reached, told.port()));
        }
        let names = roads.iter().filter(|(told, reached)| told != reached).map(|(told, reached)| (*reached, *told));
        Self {
            allowed: ground.allowed.clone(),
            public: ground.public,
            closed_v4: nets(CLOSED_V4),
            open_v6: net(OPEN_V6),
            closed_v6: nets(CLOSED_V6),
            own: ground.media.iter().map(SocketAddr::ip).chain(ground.machine.iter().copied()).collect(),
            names: names.collect(),
            roads,
        }
    }

    /// May a permission name this address? It has no port; that is asked again with each datagram.
    #[must_use]
    pub fn admit(&self, ip: IpAddr) -> bool {
        self.is_open(ip) || self.roads.keys().any(|told| told.ip() == ip)
    }

    /// Where datagrams for this peer are sent to; `None`: nowhere, it is refused.
    ///
    /// Behind a 1:1 NAT, or in a container, this machine often cannot reach itself at the address that clients know. Its
    /// own media is then reached over loopback.
    #[must_use]
    pub fn road(&self, peer: SocketAddr) -> Option<SocketAddr> {
        if peer.port() == 0 {
            return None;
        }
        self.roads.get(&peer).copied().or_else(|| self.is_open(peer.ip()).then_some(peer))
    }

    /// What clients call the peer that a datagram came from.
    #[must_use]
    pub fn name(&self, from: SocketAddr) -> SocketAddr {
        if self.names.is_empty() { from } else { self.names.get(&from).copied().unwrap_or(from) }
    }

    fn is_open(&self, ip: IpAddr) -> bool {
        if self.allowed.iter().any(|net| net.contains(&ip)) {
            return true;
        }
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip));
        let is_public = match ip {
            IpAddr::V4(_) => !within(&self.closed_v4),
            IpAddr::V6(_) => self.open_v6.contains(&ip) && !within(&self.closed_v6),
        };
        self.public && is_public && !self.own.contains(&ip)
    }
}

/// Another loopback address for each told one, so that the way back is known. IPv6 has only one.
fn alias(aliases: &mut Vec<IpAddr>, told: IpAddr) -> IpAddr {
    let at = aliases.iter().position(|known| *known == told).unwrap_or_else(|| {
        aliases.push(told);
        aliases.len() - 1
    });
    match told {
        IpAddr::V4(_) => Ipv4Addr::new(127, 0, 0, (at % 250) as u8 + 1).into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

fn net(text: &str) -> IpNet {
    text.parse().expect("the tables above hold networks")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn open() -> Ground {
        Ground { public: true, ..Ground::default() }
    }

    #[test]
    fn tricks_with_addresses_are_refused() {
        let peers = Peers::new(&open());
        let closed = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ];
        for text in closed {
            assert!(!peers.admit(ip(text)), "{text}");
            assert_eq!(peers.road(SocketAddr::new(ip(text), 4000)), None, "{text}");
        }
        for text in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "223.255.255.1", "2606:4700::1111", "2a00::1"] {
            assert!(peers.admit(ip(text)), "{text}");
        }
        assert_eq!(peers.road(at("8.8.8.8:0")), None);
    }

    #[test]
    fn the_operator_opens_and_closes() {
        let allowed = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let peers = Peers::new(&Ground { allowed, ..Ground::default() });
        for (text, admitted) in [("10.1.2.3", true), ("fd00::1", true), ("192.168.1.1", false), ("8.8.8.8", false)] {
            assert_eq!(peers.admit(ip(text)), admitted, "{text}");
        }
        // Allowing an IPv4 network does not allow its disguises.
        assert!(!peers.admit(ip("::ffff:10.1.2.3")));
    }

    #[test]
    fn of_this_machine_only_media_is_reached() {
        let media = vec![at("192.168.1.5:10000"), at("[fd00::5]:10000")];
        let machine = vec![ip("192.168.1.5"), ip("fd00::5"), ip("8.8.4.4")];
        let peers = Peers::new(&Ground { media, machine, ..open() });
        assert!(peers.admit(ip("192.168.1.5")) && peers.admit(ip("fd00::5")) && !peers.admit(ip("192.168.1.6")));
        assert_eq!(peers.road(at("192.168.1.5:10000")), Some(at("192.168.1.5:10000")));
        assert_eq!(peers.road(at("192.168.1.5:22")), None);
        assert_eq!(peers.road(at("[fd00::5]:22")), None);
        assert_eq!(peers.road(at("8.8.4.4:53")), None, "a public address of ours has closed ports too");
    }

    #[test]
    fn behind_a_nat_media_is_reached_over_loopback() {
        let media = vec![at("8.8.4.4:10000"), at("8.8.4.4:10001"), at("9.9.9.9:10000"), at("10.0.0.5:10000")];
        let peers = Peers::new(&Ground { media, machine: vec![ip("10.0.0.5")], ..open() });
        for (told, reached) in [
            ("8.8.4.4:10000", "127.0.0.1:10000"),
            ("8.8.4.4:10001", "127.0.0.1:10001"),
            ("9.9.9.9:10000", "127.0.0.2:10000"),
            ("10.0.0.5:10000", "10.0.0.5:10000"),
        ] {
            assert_eq!(peers.road(at(told)), Some(at(reached)));
            assert_eq!(peers.name(at(reached)), at(told));
        }
        assert_eq!(peers.road(at("8.8.4.4:22")), None);
        assert_eq!(peers.road(at("127.0.0.1:10000")), None, "nobody names loopback himself");
        assert_eq!(peers.name(at("127.0.0.1:22")), at("127.0.0.1:22"));
    }
}
