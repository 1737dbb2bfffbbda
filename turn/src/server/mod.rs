//! The TURN server without sockets and clock (RFC 8656, and the Binding method of RFC 8489): bytes and the time come in, what is
//! to be done comes out.
//!
//! [`Server::handle`] takes what a client sent, [`Server::relayed`] what a peer sent to a relay port. Relay ports are opened and
//! closed by whoever drives the server: it is asked by [`Action::Open`] and told by [`Server::poll_closed`].

mod login;
mod random;
mod requests;

pub use requests::{DEFAULT_LIFETIME_S, MOST_AGE, MOST_LIFETIME_S};

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use self::random::Random;
use crate::allocation::{Allocation, AllocationId, Allocations, Client};
use crate::attributes::{
    DATA, DONT_FRAGMENT, Family, UNKNOWN_ATTRIBUTES, USERNAME, XOR_MAPPED_ADDRESS, XOR_PEER_ADDRESS, is_optional,
};
use crate::budget::Budgets;
use crate::config::Secret;
use crate::counts::{Counts, DropReason, Refusal};
use crate::message::{Class, Message, Method, Writer};
use crate::nonce::Nonces;
use crate::peers::Peers;
use crate::quota::{Holders, cost};

/// A request that is longer is dropped unread: ours have a user name of 50 bytes and a nonce of 41, and an address or two.
pub const MAX_REQUEST_BYTES: usize = 1500;
/// A Binding request that is longer is dropped: no browser's is longer than 100 bytes.
pub const MAX_BINDING_BYTES: usize = 548;
/// So many unknown attributes are named in a 420 answer; naming more would answer a request with something longer.
const MAX_UNKNOWN: usize = 4;
/// How often users who owe something are looked at again.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// The bytes in front of ChannelData.
pub const CHANNEL_HEADER_BYTES: usize = 4;

/// The time, twice: for intervals, and for what credentials say.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Never goes back.
    pub instant: Instant,
    /// Seconds since 1970.
    pub unix_s: u64,
}

/// Who may relay, and how much.
#[derive(Debug)]
pub struct Rules {
    /// Shared with whoever makes the credentials.
    pub secret: Secret,
    /// What credentials are for.
    pub realm: String,
    /// The relay's address as peers see it, IPv4.
    pub relay_v4: Option<IpAddr>,
    /// The relay's address as peers see it, IPv6.
    pub relay_v6: Option<IpAddr>,
    /// First and last relay port.
    pub ports: (u16, u16),
    /// Whom it may be relayed to.
    pub peers: Peers,
    /// Allocations of all users.
    pub most_allocations: usize,
    /// Allocations of one user.
    pub user_allocations: u32,
    /// Bytes a second of one user, both directions together.
    pub user_bytes_per_s: u64,
    /// Allocations of one IPv4 address or IPv6 /64.
    pub address_allocations: u32,
    /// Bytes a second of one IPv4 address or IPv6 /64, both directions together.
    pub address_bytes_per_s: u64,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Send this to the client that asked.
    Answer(&'a [u8]),
    /// Send this from the allocation's port.
    Relay {
        /// Whose port.
        allocation: AllocationId,
        /// To whom.
        to: SocketAddr,
        /// What.
        payload: &'a [u8],
    },
    /// Open this relay port, and say by [`Server::opened`] whether it could be opened.
    Open {
        /// For whom.
        allocation: AllocationId,
        /// On which family's addresses.
        family: Family,
        /// Which one.
        port: u16,
    },
}

/// How a peer's datagrams go to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// To whom.
    pub client: Client,
    frame: Frame,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Channel(u16),
    Indication { peer: SocketAddr, transaction: [u8; 12] },
}

impl Envelope {
    /// Writes one datagram with what goes around it. Datagrams of one length make pieces of one length.
    pub fn write(&self, payload: &[u8], out: &mut Vec<u8>) {
        match self.frame {
            Frame::Channel(number) => {
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
                out.extend_from_slice(payload);
                // On a stream the next message begins at a multiple of four bytes (RFC 8656 section 12.5).
                if matches!(self.client, Client::Stream { .. }) {
                    out.extend_from_slice(&[0; 3][..payload.len().next_multiple_of(4) - payload.len()]);
                }
            }
            Frame::Indication { peer, transaction } => {
                let mut writer = Writer::new(out, Class::Indication, Method::Data, &transaction);
                writer.add_address(XOR_PEER_ADDRESS, peer);
                writer.add(DATA, payload);
            }
        }
    }
}

/// The server. Without [`Rules`] it answers Binding requests alone.
pub struct Server {
    rules: Option<Rules>,
    counts: Counts,
    /// What sources of datagrams may ask before they have shown who they are.
    budgets: Budgets,
    /// The same for those that come by connections: no other's datagrams use it up, and it grows with what one source may have.
    budgets_of_streams: Budgets,
    nonces: Nonces,
    random: Random,
    users: Holders<Box<str>>,
    /// Where clients come from, as [`crate::budget::source`] counts.
    sources: Holders<u128>,
    allocations: Allocations,
    clients: HashMap<Client, AllocationId>,
    /// When allocations end, or ended before they were refreshed.
    ends: BinaryHeap<Reverse<(Instant, AllocationId)>>,
    next_sweep: Instant,
    closed: Vec<(AllocationId, Client)>,
    /// Requests that wait for their port to be opened: they are answered before anything else is asked.
    opening: Option<requests::Opening>,
    out: Vec<u8>,
}

impl Server {
    /// A server whose clock starts at `now`. The seed is 32 random bytes that nobody else knows.
    #[must_use]
    pub fn new(rules: Option<Rules>, now: Instant, seed: &[u8; 32]) -> Self {
        let bounds = |of: fn(&Rules) -> (u32, u64)| rules.as_ref().map_or((0, 1), of);
        let of_user = bounds(|rules| (rules.user_allocations, rules.user_bytes_per_s));
        let of_source = bounds(|rules| (rules.address_allocations, rules.address_bytes_per_s));
        Self {
            rules,
            counts: Counts::default(),
            budgets: Budgets::new(now),
            budgets_of_streams: Budgets::sized(now, of_source.0),
            nonces: Nonces::new(now, seed),
            random: Random::new(seed),
            users: Holders::new(now, of_user.0, of_user.1),
            sources: Holders::new(now, of_source.0, of_source.1),
            allocations: Allocations::default(),
            clients: HashMap::new(),
            ends: BinaryHeap::new(),
            next_sweep: now,
            closed: Vec::new(),
            opening: None,
            out: Vec::new(),
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { allocations: self.allocations.len() as u64, ..self.counts }
    }

    /// Counts what whoever drives the server had to drop.
    pub fn count(&mut self, reason: DropReason) {
        self.counts.drop(reason);
    }

    /// Takes one datagram, or one message of a stream, from a client. `None`: nothing is to be done; if something was dropped,
    /// it is counted.
    pub fn handle<'a>(&'a mut self, now: Now, from: Client, bytes: &'a [u8]) -> Option<Action<'a>> {
        let done = match bytes.first() {
            Some(0x40..=0x7F) => return self.channel_data(now.instant, from, bytes),
            Some(0..=0x3F) => self.stun(now, from, bytes),
            _ => Err(DropReason::Malformed),
        };
        match done {
            Ok(Done::Answer) => Some(Action::Answer(&self.out)),
            Ok(Done::Relay(allocation, to, payload)) => Some(Action::Relay { allocation, to, payload }),
            Ok(Done::Open(allocation, family, port)) => Some(Action::Open { allocation, family, port }),
            Err(reason) => {
                self.counts.drop(reason);
                None
            }
        }
    }

    /// Takes what came from a peer to an allocation's port: so many datagrams, so many bytes altogether.
    ///
    /// # Errors
    /// Why they are to be dropped; it is counted.
    pub fn relayed(
        &mut self,
        now: Instant,
        id: AllocationId,
        from: SocketAddr,
        datagrams: usize,
        bytes: usize,
    ) -> Result<Envelope, DropReason> {
        let envelope = self.envelope(now, id, from, cost(datagrams, bytes));
        match envelope {
            Ok(_) => self.counts.to_clients.add(datagrams as u64, bytes as u64),
            Err(reason) => self.counts.drops[reason.index()] += datagrams as u64,
        }
        envelope
    }

    fn envelope(
        &mut self,
        now: Instant,
        id: AllocationId,
        from: SocketAddr,
        cost: u64,
    ) -> Result<Envelope, DropReason> {
        let (Some(rules), Some(allocation)) = (&self.rules, self.allocations.at(id)) else {
            return Err(DropReason::NoRelay);
        };
        let peer = rules.peers.name(SocketAddr::new(from.ip().to_canonical(), from.port()));
        let channel = allocation.channel(now, peer);
        let reached = channel.is_some() || rules.peers.road(peer).is_some();
        if !allocation.permits(now, peer.ip()) || !reached {
            return Err(DropReason::NoPermission);
        }
        let client = allocation.client;
        self.spend(now, id, cost)?;
        let frame = match channel {
            Some(number) => Frame::Channel(number),
            None => Frame::Indication { peer, transaction: self.random.transaction() },
        };
        Ok(Envelope { client, frame })
    }

    /// The client's connection has ended, and with it the allocation (RFC 8656 section 3.1).
    pub fn gone(&mut self, now: Instant, client: Client) {
        if let Some(id) = self.clients.get(&client) {
            self.end(now, *id);
        }
    }

    /// Has this client an allocation?
    #[must_use]
    pub fn serves(&self, client: Client) -> bool {
        self.clients.contains_key(&client)
    }

    /// When [`Server::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let end = self.ends.peek().map(|Reverse((at, _))| *at);
        let wants_sweep = self.users.wants_sweep() || self.sources.wants_sweep();
        let sweep = wants_sweep.then_some(self.next_sweep);
        [end, sweep].into_iter().flatten().min()
    }

    /// Ends what has expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.ends.peek().copied() {
            if at > now {
                break;
            }
            self.ends.pop();
            match self.allocations.at(id).map(|allocation| allocation.expires) {
                Some(expires) if expires > now => self.ends.push(Reverse((expires, id))),
                Some(_) => self.end(now, id),
                None => {}
            }
        }
        if self.next_sweep <= now {
            self.users.sweep(now);
            self.sources.sweep(now);
            self.next_sweep = now + SWEEP_EVERY;
        }
    }

    /// An allocation that has ended, and whose it was: its port can be closed.
    pub fn poll_closed(&mut self) -> Option<(AllocationId, Client)> {
        self.closed.pop()
    }

    fn end(&mut self, now: Instant, id: AllocationId) {
        let Some(allocation) = self.allocations.remove(id) else { return };
        self.clients.remove(&allocation.client);
        self.users.leave(now, allocation.user);
        self.sources.leave(now, allocation.source);
        self.closed.push((id, allocation.client));
    }

    fn channel_data<'a>(&'a mut self, now: Instant, from: Client, bytes: &'a [u8]) -> Option<Action<'a>> {
        match self.of_channel(now, from, bytes) {
            Ok((allocation, to, payload)) => {
                self.counts.to_peers.add(1, payload.len() as u64);
                Some(Action::Relay { allocation, to, payload })
            }
            Err(reason) => {
                self.counts.drop(reason);
                None
            }
        }
    }

    fn of_channel<'a>(
        &mut self,
        now: Instant,
        from: Client,
        bytes: &'a [u8],
    ) -> Result<(AllocationId, SocketAddr, &'a [u8]), DropReason> {
        let [n0, n1, l0, l1, rest @ ..] = bytes else { return Err(DropReason::Malformed) };
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        // Padding may follow (RFC 8656 section 12.5).
        let payload = rest.get(..len).ok_or(DropReason::Malformed)?;
        let id = *self.clients.get(&from).ok_or(DropReason::NoRelay)?;
        let allocation = self.allocations.at(id).ok_or(DropReason::NoRelay)?;
        let to = allocation.road(now, u16::from_be_bytes([*n0, *n1])).ok_or(DropReason::NoRelay)?;
        self.spend(now, id, cost(1, len))?;
        Ok((id, to, payload))
    }

    fn stun<'a>(&mut self, now: Now, from: Client, bytes: &'a [u8]) -> Result<Done<'a>, DropReason> {
        let remote = from.remote();
        if remote.port() == 0 || remote.ip().is_multicast() || remote.ip().is_unspecified() {
            return Err(DropReason::BadSource);
        }
        let message = Message::read(bytes).map_err(|_| DropReason::Malformed)?;
        match (message.class, message.method) {
            (Class::Request, Some(Method::Binding)) => self.binding(now.instant, from, &message, bytes.len()),
            (Class::Indication, Some(Method::Send)) if self.rules.is_some() => {
                self.send_indication(now.instant, from, &message)
            }
            // A browser keeps its NAT's binding open by it; it wants no answer.
            (Class::Indication, Some(Method::Binding)) => Err(DropReason::NotRequest),
            (
                Class::Request,
                Some(Method::Allocate | Method::Refresh | Method::CreatePermission | Method::ChannelBind),
            ) if self.rules.is_some() => {
                if bytes.len() > MAX_REQUEST_BYTES {
                    return Err(DropReason::TooLong);
                }
                self.request(now, from, &message)
            }
            _ => Err(DropReason::NotRequest),
        }
    }

    fn budgets_for(&mut self, from: Client) -> &mut Budgets {
        match from {
            Client::Udp { .. } => &mut self.budgets,
            Client::Stream { .. } => &mut self.budgets_of_streams,
        }
    }

    /// What is my address? An answer is at most 24 bytes longer than its request, the least that RFC 8489 allows for an IPv6
    /// address: of no use to those who forge source addresses.
    fn binding<'a>(
        &mut self,
        now: Instant,
        from: Client,
        message: &Message<'_>,
        bytes: usize,
    ) -> Result<Done<'a>, DropReason> {
        if bytes > MAX_BINDING_BYTES {
            return Err(DropReason::TooLong);
        }
        if !self.budgets_for(from).take(now, from.remote().ip()) {
            return Err(DropReason::RateLimited);
        }
        // Credentials are ignored: nobody needs any for this.
        let unknown =
            unknown(message, |kind| [USERNAME, crate::attributes::REALM, crate::attributes::NONCE].contains(&kind));
        self.out.clear();
        let class = if unknown.is_empty() { Class::Success } else { Class::Error };
        let mut answer = Writer::new(&mut self.out, class, Method::Binding, &message.transaction);
        if unknown.is_empty() {
            answer.add_address(XOR_MAPPED_ADDRESS, from.remote());
        } else {
            // 420 without a reason phrase, which would only make the answer longer (RFC 8489 section 14.8).
            answer.add_error(Refusal::UnknownAttribute.code(), "");
            answer.add(UNKNOWN_ATTRIBUTES, &unknown);
        }
        if message.fingerprint {
            answer.add_fingerprint();
        }
        self.counts.answered += 1;
        Ok(Done::Answer)
    }

    /// A datagram for a peer (RFC 8656 section 11.2). It is not authenticated: what counts is the 5-tuple.
    fn send_indication<'a>(
        &mut self,
        now: Instant,
        from: Client,
        message: &Message<'a>,
    ) -> Result<Done<'a>, DropReason> {
        let (Some(rules), Some(id)) = (&self.rules, self.clients.get(&from).copied()) else {
            return Err(DropReason::NoRelay);
        };
        let allocation = self.allocations.at(id).ok_or(DropReason::NoRelay)?;
        // Relayed datagrams are never fragmented here, so DONT-FRAGMENT asks for what is done anyway.
        let known = [XOR_PEER_ADDRESS, DATA, DONT_FRAGMENT];
        let (Some(Some(peer)), Some(payload)) = (message.address(XOR_PEER_ADDRESS), message.attribute(DATA)) else {
            return Err(DropReason::Malformed);
        };
        if !unknown(message, |kind| known.contains(&kind)).is_empty() {
            return Err(DropReason::Malformed);
        }
        let road = rules.peers.road(peer).filter(|_| Family::of(peer.ip()) == allocation.family);
        let Some(road) = road.filter(|_| allocation.permits(now, peer.ip())) else {
            return Err(DropReason::NoPermission);
        };
        self.spend(now, id, cost(1, payload.len()))?;
        self.counts.to_peers.add(1, payload.len() as u64);
        Ok(Done::Relay(id, road, payload))
    }

    /// Takes what something costs out of the budgets of the allocation's user and of its source: of both, or of neither.
    fn spend(&mut self, now: Instant, id: AllocationId, cost: u64) -> Result<(), DropReason> {
        let allocation = self.allocations.at_mut(id).ok_or(DropReason::NoRelay)?;
        let has = self.users.has(now, allocation.user) && self.sources.spend(now, allocation.source, cost);
        if has && self.users.spend(now, allocation.user, cost) {
            allocation.used = now;
            return Ok(());
        }
        Err(DropReason::OverQuota)
    }

    /// Relays to those peers from now on: this machine's addresses have changed.
    pub fn replace_peers(&mut self, peers: Peers) {
        let Some(rules) = &mut self.rules else { return };
        rules.peers = peers;
        for allocation in self.allocations.all_mut() {
            allocation.reroute(|peer| rules.peers.road(peer));
        }
    }

    fn insert(&mut self, allocation: Allocation) -> AllocationId {
        let (client, expires) = (allocation.client, allocation.expires);
        let id = self.allocations.insert(allocation);
        self.clients.insert(client, id);
        self.ends.push(Reverse((expires, id)));
        id
    }
}

/// What was decided; the answer is in the server's buffer.
enum Done<'a> {
    Answer,
    Relay(AllocationId, SocketAddr, &'a [u8]),
    Open(AllocationId, Family, u16),
}

/// The numbers of attributes that must be understood and are not, as UNKNOWN-ATTRIBUTES lists them.
fn unknown(message: &Message<'_>, is_known: impl Fn(u16) -> bool) -> Vec<u8> {
    let kinds = message.attributes().map(|(kind, _)| kind).filter(|kind| !is_optional(*kind) && !is_known(*kind));
    kinds.take(MAX_UNKNOWN).flat_map(u16::to_be_bytes).collect()
}
