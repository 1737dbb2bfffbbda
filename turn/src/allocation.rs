//! Allocations: who may send to whom through which port, and until when (RFC 8656 section 3).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::attributes::Family;
use crate::counts::Refusal;
use crate::quota::HolderId;

/// How long a permission lasts (RFC 8656 section 9).
pub const PERMISSION_LIFE: Duration = Duration::from_secs(300);
/// How long a channel lasts (RFC 8656 section 12).
pub const CHANNEL_LIFE: Duration = Duration::from_secs(600);
/// Permissions of one allocation. A browser asks for one for each candidate of the server, which has a few addresses.
pub const MOST_PERMISSIONS: usize = 64;
/// Channels of one allocation: a candidate on each shard of the largest machine.
pub const MOST_CHANNELS: usize = 64;

/// Who is at the other end of a line to the server: the 5-tuple, less what is the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// By datagrams.
    Udp {
        /// Its address.
        remote: SocketAddr,
        /// Which of our addresses it sent to, where the system says so.
        local: Option<IpAddr>,
    },
    /// By a TCP connection, with TLS or without.
    Stream {
        /// Its address.
        remote: SocketAddr,
        /// The number of the connection, never used again.
        connection: u64,
    },
}

impl Client {
    /// Its address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        match self {
            Self::Udp { remote, .. } | Self::Stream { remote, .. } => *remote,
        }
    }
}

/// One allocation among all that were and will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId {
    /// Its place. Two that live never share one.
    pub place: u32,
    generation: u32,
}

struct Channel {
    number: u16,
    peer: SocketAddr,
    /// Where the peer is reached.
    road: SocketAddr,
    expires: Instant,
}

/// A relay port of one client.
pub(crate) struct Allocation {
    pub(crate) client: Client,
    pub(crate) user: HolderId,
    /// The address that it came from.
    pub(crate) source: HolderId,
    /// The user name that made it: it may go on with that one even when it has expired since.
    pub(crate) username: Box<str>,
    pub(crate) family: Family,
    pub(crate) port: u16,
    /// The Allocate request that made it.
    pub(crate) transaction: [u8; 12],
    /// What that request was told, in seconds.
    pub(crate) lifetime_s: u32,
    pub(crate) made: Instant,
    pub(crate) expires: Instant,
    /// When something was last relayed.
    pub(crate) used: Instant,
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<Channel>,
}

impl Allocation {
    pub(crate) fn new(
        client: Client,
        (user, source): (HolderId, HolderId),
        username: &str,
        family: Family,
        now: Instant,
    ) -> Self {
        Self {
            client,
            user,
            source,
            username: username.into(),
            family,
            port: 0,
            transaction: [0; 12],
            lifetime_s: 0,
            made: now,
            expires: now,
            used: now,
            permissions: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// Is there room for these further peers?
    pub(crate) fn has_room(&mut self, now: Instant, peers: &[IpAddr]) -> bool {
        self.permissions.retain(|(_, expires)| *expires > now);
        let known = |ip: &IpAddr| self.permissions.iter().any(|(known, _)| known == ip);
        self.permissions.len() + peers.iter().filter(|ip| !known(ip)).count() <= MOST_PERMISSIONS
    }

    pub(crate) fn permit(&mut self, now: Instant, ip: IpAddr) {
        let expires = now + PERMISSION_LIFE;
        match self.permissions.iter_mut().find(|(known, _)| *known == ip) {
            Some(permission) => permission.1 = expires,
            None => self.permissions.push((ip, expires)),
        }
    }

    pub(crate) fn permits(&self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.iter().any(|(known, expires)| *known == ip && *expires > now)
    }

    /// Binds a channel, or keeps it. Number and peer must not belong to another one.
    pub(crate) fn bind(
        &mut self,
        now: Instant,
        number: u16,
        peer: SocketAddr,
        road: SocketAddr,
    ) -> Result<(), Refusal> {
        self.channels.retain(|channel| channel.expires > now);
        let expires = now + CHANNEL_LIFE;
        let at = self.channels.iter().position(|channel| channel.number == number || channel.peer == peer);
        let Some(at) = at else {
            if self.channels.len() >= MOST_CHANNELS {
                return Err(Refusal::Capacity);
            }
            self.channels.push(Channel { number, peer, road, expires });
            return Ok(());
        };
        let channel = &mut self.channels[at];
        if channel.number != number || channel.peer != peer {
            return Err(Refusal::BadRequest);
        }
        channel.expires = expires;
        Ok(())
    }

    /// The ways to peers are other ones now: channels to peers that are not reached any more end.
    pub(crate) fn reroute(&mut self, road: impl Fn(SocketAddr) -> Option<SocketAddr>) {
        self.channels.retain_mut(|channel| road(channel.peer).map(|road| channel.road = road).is_some());
    }

    /// Where what comes on this channel goes.
    pub(crate) fn road(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        let channel = self.channels.iter().find(|channel| channel.number == number && channel.expires > now)?;
        Some(channel.road)
    }

    /// The channel of a peer.
    pub(crate) fn channel(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        let channel = self.channels.iter().find(|channel| channel.peer == peer && channel.expires > now)?;
        Some(channel.number)
    }
}

/// All allocations, in places that are used again.
#[derive(Default)]
pub(crate) struct Allocations {
    places: Vec<(u32, Option<Allocation>)>,
    free: Vec<u32>,
    count: usize,
}

impl Allocations {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn insert(&mut self, allocation: Allocation) -> AllocationId {
        self.count += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (generation, content) = &mut self.places[place as usize];
        *generation = generation.wrapping_add(1);
        *content = Some(allocation);
        AllocationId { place, generation: *generation }
    }

    pub(crate) fn at(&self, id: AllocationId) -> Option<&Allocation> {
        let (generation, content) = self.places.get(id.place as usize)?;
        content.as_ref().filter(|_| *generation == id.generation)
    }

    pub(crate) fn at_mut(&mut self, id: AllocationId) -> Option<&mut Allocation> {
        let (generation, content) = self.places.get_mut(id.place as usize)?;
        content.as_mut().filter(|_| *generation == id.generation)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (AllocationId, &Allocation)> {
        self.places.iter().enumerate().filter_map(|(place, (generation, content))| {
            let id = AllocationId { place: place as u32, generation: *generation };
            content.as_ref().map(|allocation| (id, allocation))
        })
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Allocation> {
        self.places.iter_mut().filter_map(|(_, content)| content.as_mut())
    }

    pub(crate) fn remove(&mut self, id: AllocationId) -> Option<Allocation> {
        let (generation, content) = self.places.get_mut(id.place as usize)?;
        let allocation = if *generation == id.generation { content.take() } else { None }?;
        self.free.push(id.place);
        self.count -= 1;
        Some(allocation)
    }
}
