//! What clients ask for, once they have shown who they are.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::login::{Login, Signature};
use super::{Done, Now, Server, unknown};
use crate::allocation::{Allocation, AllocationId, Client};
use crate::attributes::{
    ADDITIONAL_ADDRESS_FAMILY, ADDRESS_ERROR_CODE, CHANNEL_NUMBER, DONT_FRAGMENT, EVEN_PORT, Family, LIFETIME, NONCE,
    PASSWORD_ALGORITHM, PASSWORD_ALGORITHMS, REALM, REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, RESERVATION_TOKEN,
    UNKNOWN_ATTRIBUTES, USERNAME, XOR_MAPPED_ADDRESS, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS, XorAddress,
};
use crate::budget::source;
use crate::counts::{DropReason, Refusal};
use crate::credentials::PasswordAlgorithm;
use crate::message::{Class, Message, Method, Writer};
use crate::quota::HolderId;

/// How long an allocation lasts when nobody says otherwise, in seconds (RFC 8656 section 5).
pub const DEFAULT_LIFETIME_S: u32 = 600;
/// How long it lasts at most without a refresh, in seconds.
pub const MOST_LIFETIME_S: u32 = 3600;
/// How long one may go on with a credential that has expired: longer than any call.
pub const MOST_AGE: Duration = Duration::from_secs(24 * 3600);
/// Ports that are tried for one allocation. With nine of ten in use, one in five tries ends with 508.
const MOST_TRIES: u32 = 16;
/// Peers in one CreatePermission.
const MOST_PEERS: usize = 16;
/// REQUESTED-TRANSPORT: UDP, the protocol number of IP.
const UDP: u8 = 17;
/// What names a channel. RFC 8656 has less, up to 0x4FFF; RFC 5766 has these, and clients of that time use them.
const CHANNEL_NUMBERS: std::ops::RangeInclusive<u16> = 0x4000..=0x7FFF;

/// An allocation whose port is being opened.
pub(super) struct Opening {
    id: AllocationId,
    ask: Ask,
    is_even: bool,
    wants_both: bool,
    tries: u32,
}

/// What every answer needs to know of its request.
#[derive(Clone)]
struct Ask {
    method: Method,
    transaction: [u8; 12],
    fingerprint: bool,
    signature: Option<Signature>,
}

impl Ask {
    fn of(message: &Message<'_>, method: Method, signature: Option<Signature>) -> Self {
        Self { method, transaction: message.transaction, fingerprint: message.fingerprint, signature }
    }
}

impl Server {
    pub(super) fn request<'a>(
        &mut self,
        now: Now,
        from: Client,
        message: &Message<'_>,
    ) -> Result<Done<'a>, DropReason> {
        let method = message.method.ok_or(DropReason::NotRequest)?;
        let ip = from.remote().ip();
        if !self.serves(from) && !self.budgets_for(from).has(now.instant, ip) {
            return Err(DropReason::RateLimited);
        }
        let login = match self.login(now, from, message) {
            Ok(login) => login,
            Err(refusal) => {
                if !self.budgets_for(from).take(now.instant, ip) {
                    return Err(DropReason::RateLimited);
                }
                let nonce = self.nonces.make(now.instant, from.remote());
                return Ok(self.refuse(&Ask::of(message, method, None), refusal, Some(&nonce), &[]));
            }
        };
        let ask = Ask::of(message, method, Some(login.signature.clone()));
        let strange = unknown(message, is_known);
        if !strange.is_empty() {
            return Ok(self.refuse(&ask, Refusal::UnknownAttribute, None, &strange));
        }
        let done = match method {
            Method::Allocate => self.allocate(now, from, message, &login, &ask),
            Method::Refresh => self.refresh(now, from, message, &login, &ask),
            Method::CreatePermission => self.create_permission(now, from, message, &login, &ask),
            _ => self.channel_bind(now, from, message, &login, &ask),
        };
        Ok(done.unwrap_or_else(|refusal| self.refuse(&ask, refusal, None, &[])))
    }

    /// What became of [`super::Action::Open`].
    pub fn opened(&mut self, now: Now, id: AllocationId, opened: bool) -> Option<super::Action<'_>> {
        let mut opening = self.opening.take().filter(|opening| opening.id == id)?;
        if opened {
            self.allocate_success(now, &opening.ask, id, opening.wants_both);
            return Some(super::Action::Answer(&self.out));
        }
        opening.tries += 1;
        if opening.tries < MOST_TRIES {
            let (family, port) = self.draw(id, opening.is_even)?;
            self.opening = Some(opening);
            return Some(super::Action::Open { allocation: id, family, port });
        }
        self.end(now.instant, id);
        // There is no port to close.
        self.closed.retain(|(closed, _)| *closed != id);
        self.refuse(&opening.ask, Refusal::Capacity, None, &[]);
        Some(super::Action::Answer(&self.out))
    }

    fn allocate<'a>(
        &mut self,
        now: Now,
        from: Client,
        message: &Message<'_>,
        login: &Login<'_>,
        ask: &Ask,
    ) -> Result<Done<'a>, Refusal> {
        if let Some(id) = self.clients.get(&from).copied() {
            let made_by = self.allocations.at(id).map(|allocation| allocation.transaction);
            if made_by != Some(message.transaction) {
                return Err(Refusal::Mismatch);
            }
            // The answer was lost: the same once more.
            self.allocate_success(now, ask, id, message.attribute(ADDITIONAL_ADDRESS_FAMILY).is_some());
            return Ok(Done::Answer);
        }
        let wanted = Wanted::read(message)?;
        let rules = self.rules.as_ref().ok_or(Refusal::Capacity)?;
        let relay = match wanted.family {
            Family::V4 => rules.relay_v4,
            Family::V6 => rules.relay_v6,
        };
        relay.ok_or(Refusal::FamilyNotSupported)?;
        let most = rules.most_allocations;
        let holders = self.enter(now, from, login.user, most)?;
        let mut allocation = Allocation::new(from, holders, login.username, wanted.family, now.instant);
        allocation.transaction = message.transaction;
        // To ask for none and to ask for nothing is the same here.
        allocation.lifetime_s = wanted.lifetime_s.max(DEFAULT_LIFETIME_S);
        allocation.expires = now.instant + Duration::from_secs(allocation.lifetime_s.into());
        let id = self.insert(allocation);
        let opening = Opening { id, ask: ask.clone(), is_even: wanted.is_even, wants_both: wanted.both, tries: 0 };
        self.opening = Some(opening);
        let (family, port) = self.draw(id, wanted.is_even).ok_or(Refusal::Capacity)?;
        Ok(Done::Open(id, family, port))
    }

    /// One more allocation of this user and of where it comes from.
    fn enter(&mut self, now: Now, from: Client, user: &str, most: usize) -> Result<(HolderId, HolderId), Refusal> {
        let user = self.users.enter(now.instant, user.into()).ok_or(Refusal::Quota)?;
        let Some(source) = self.sources.enter(now.instant, source(from.remote().ip())) else {
            self.users.leave(now.instant, user);
            return Err(Refusal::Quota);
        };
        if self.allocations.len() >= most && !self.displace(now, source) {
            self.users.leave(now.instant, user);
            self.sources.leave(now.instant, source);
            return Err(Refusal::Capacity);
        }
        Ok((user, source))
    }

    /// All allocations are taken: whoever comes from where fewer are gets that of the greatest source which has been idle for
    /// longest. So nobody's greed keeps others out, however many names it has. False: nobody has more.
    fn displace(&mut self, now: Now, newcomer: HolderId) -> bool {
        let Some(greatest) = self.sources.greatest() else { return false };
        if self.sources.allocations(greatest) <= self.sources.allocations(newcomer) {
            return false;
        }
        let of_greatest = self.allocations.all().filter(|(_, allocation)| allocation.source == greatest);
        let Some((id, _)) = of_greatest.min_by_key(|(_, allocation)| allocation.used) else { return false };
        self.end(now.instant, id);
        self.count(DropReason::Displaced);
        true
    }

    /// Draws a port for an allocation.
    fn draw(&mut self, id: AllocationId, is_even: bool) -> Option<(Family, u16)> {
        let ports = self.rules.as_ref()?.ports;
        let drawn = self.random.port(ports);
        let port = if is_even && drawn & 1 == 1 { if drawn > ports.0 { drawn - 1 } else { drawn + 1 } } else { drawn };
        let allocation = self.allocations.at_mut(id)?;
        allocation.port = port;
        Some((allocation.family, port))
    }

    fn allocate_success(&mut self, now: Now, ask: &Ask, id: AllocationId, wants_both: bool) {
        let (Some(rules), Some(allocation)) = (&self.rules, self.allocations.at(id)) else { return };
        let relay = match allocation.family {
            Family::V4 => rules.relay_v4,
            Family::V6 => rules.relay_v6,
        };
        let Some(relay) = relay else { return };
        self.out.clear();
        let mut answer = Writer::new(&mut self.out, Class::Success, ask.method, &ask.transaction);
        answer.add_address(XOR_RELAYED_ADDRESS, SocketAddr::new(relay, allocation.port));
        answer.add_address(XOR_MAPPED_ADDRESS, allocation.client.remote());
        answer.add(LIFETIME, &allocation.lifetime_s.to_be_bytes());
        if wants_both {
            // One request, one address: IPv4. IPv6 is had by asking for it (RFC 8656 section 18.10).
            answer.add(ADDRESS_ERROR_CODE, &[Family::V6.number(), 0, 4, 40]);
        }
        finish(answer, ask);
        if allocation.made == now.instant {
            let stream = matches!(allocation.client, Client::Stream { .. });
            self.counts.allocated[usize::from(stream)] += 1;
        }
    }

    fn refresh<'a>(
        &mut self,
        now: Now,
        from: Client,
        message: &Message<'_>,
        login: &Login<'_>,
        ask: &Ask,
    ) -> Result<Done<'a>, Refusal> {
        let lifetime_s = lifetime(message).ok_or(Refusal::BadRequest)?;
        let allocation = self.held(now, from, login)?;
        if let Some(value) = message.attribute(REQUESTED_ADDRESS_FAMILY)
            && read_family(value)? != allocation.family
        {
            return Err(Refusal::FamilyMismatch);
        }
        allocation.expires = now.instant + Duration::from_secs(lifetime_s.into());
        // A credential that was renewed serves from now on.
        allocation.username = login.username.into();
        if lifetime_s == 0
            && let Some(id) = self.clients.get(&from).copied()
        {
            self.end(now.instant, id);
        }
        self.out.clear();
        let mut answer = Writer::new(&mut self.out, Class::Success, ask.method, &ask.transaction);
        answer.add(LIFETIME, &lifetime_s.to_be_bytes());
        finish(answer, ask);
        Ok(Done::Answer)
    }

    fn create_permission<'a>(
        &mut self,
        now: Now,
        from: Client,
        message: &Message<'_>,
        login: &Login<'_>,
        ask: &Ask,
    ) -> Result<Done<'a>, Refusal> {
        self.held(now, from, login)?;
        let peers: Option<Vec<IpAddr>> = message
            .attributes()
            .filter(|(kind, _)| *kind == XOR_PEER_ADDRESS)
            .take(MOST_PEERS + 1)
            .map(|(_, value)| XorAddress::read(value, &message.transaction).map(|peer| peer.ip()))
            .collect();
        let peers = peers.filter(|peers| (1..=MOST_PEERS).contains(&peers.len())).ok_or(Refusal::BadRequest)?;
        for peer in &peers {
            self.admit(now, from, login, *peer)?;
        }
        self.permit(now, from, login, &peers)?;
        Ok(self.succeed(ask))
    }

    fn channel_bind<'a>(
        &mut self,
        now: Now,
        from: Client,
        message: &Message<'_>,
        login: &Login<'_>,
        ask: &Ask,
    ) -> Result<Done<'a>, Refusal> {
        self.held(now, from, login)?;
        let (Some(&[high, low, _, _]), Some(Some(peer))) =
            (message.attribute(CHANNEL_NUMBER), message.address(XOR_PEER_ADDRESS))
        else {
            return Err(Refusal::BadRequest);
        };
        let number = u16::from_be_bytes([high, low]);
        if !CHANNEL_NUMBERS.contains(&number) || peer.port() == 0 {
            return Err(Refusal::BadRequest);
        }
        self.admit(now, from, login, peer.ip())?;
        let road = self.rules.as_ref().and_then(|rules| rules.peers.road(peer)).ok_or(Refusal::Forbidden)?;
        self.permit(now, from, login, &[peer.ip()])?;
        self.held(now, from, login)?.bind(now.instant, number, peer, road)?;
        Ok(self.succeed(ask))
    }

    /// May this client have that peer at all?
    fn admit(&mut self, now: Now, from: Client, login: &Login<'_>, peer: IpAddr) -> Result<(), Refusal> {
        if Family::of(peer) != self.held(now, from, login)?.family {
            return Err(Refusal::FamilyMismatch);
        }
        let admitted = self.rules.as_ref().is_some_and(|rules| rules.peers.admit(peer));
        if admitted { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// Installs or refreshes permissions: all of them, or none.
    fn permit(&mut self, now: Now, from: Client, login: &Login<'_>, peers: &[IpAddr]) -> Result<(), Refusal> {
        let allocation = self.held(now, from, login)?;
        if !allocation.has_room(now.instant, peers) {
            return Err(Refusal::Capacity);
        }
        for peer in peers {
            allocation.permit(now.instant, *peer);
        }
        Ok(())
    }

    /// The client's own allocation. Another credential of the same user is as good as the first.
    fn held(&mut self, now: Now, from: Client, login: &Login<'_>) -> Result<&mut Allocation, Refusal> {
        let id = self.clients.get(&from).copied().ok_or(Refusal::Mismatch)?;
        let allocation = self.allocations.at_mut(id).ok_or(Refusal::Mismatch)?;
        if allocation.expires <= now.instant {
            return Err(Refusal::Mismatch);
        }
        let holder = crate::credentials::read_username(&allocation.username).map(|(_, user)| user);
        if holder == Some(login.user) { Ok(allocation) } else { Err(Refusal::WrongCredentials) }
    }

    fn succeed<'a>(&mut self, ask: &Ask) -> Done<'a> {
        self.out.clear();
        finish(Writer::new(&mut self.out, Class::Success, ask.method, &ask.transaction), ask);
        Done::Answer
    }

    /// Writes the refusal. A challenge comes with what the client needs to try again.
    fn refuse<'a>(&mut self, ask: &Ask, refusal: Refusal, nonce: Option<&str>, strange: &[u8]) -> Done<'a> {
        self.counts.refusals[refusal as usize] += 1;
        self.out.clear();
        let mut answer = Writer::new(&mut self.out, Class::Error, ask.method, &ask.transaction);
        answer.add_error(refusal.code(), refusal.phrase());
        let is_challenge = matches!(refusal, Refusal::Unauthenticated | Refusal::StaleNonce);
        if let (true, Some(nonce), Some(rules)) = (is_challenge, nonce, &self.rules) {
            answer.add(REALM, rules.realm.as_bytes());
            answer.add(NONCE, nonce.as_bytes());
            answer.add(PASSWORD_ALGORITHMS, &PasswordAlgorithm::OFFER);
        }
        if !strange.is_empty() {
            answer.add(UNKNOWN_ATTRIBUTES, strange);
        }
        finish(answer, ask);
        Done::Answer
    }
}

/// Signs as the request was signed, and adds a FINGERPRINT if it had one.
fn finish(mut answer: Writer<'_>, ask: &Ask) {
    if let Some(Signature { integrity, key }) = &ask.signature {
        answer.sign(*integrity, key);
    }
    if ask.fingerprint {
        answer.add_fingerprint();
    }
}

/// What an Allocate asks for.
struct Wanted {
    family: Family,
    lifetime_s: u32,
    is_even: bool,
    /// IPv4 and IPv6 in one.
    both: bool,
}

impl Wanted {
    /// The checks of RFC 8656 section 7.2, in its order.
    fn read(message: &Message<'_>) -> Result<Self, Refusal> {
        match message.attribute(REQUESTED_TRANSPORT) {
            Some([UDP, ..]) => {}
            Some([_, _, _, _]) => return Err(Refusal::TransportNotSupported),
            _ => return Err(Refusal::BadRequest),
        }
        let family = message.attribute(REQUESTED_ADDRESS_FAMILY);
        let additional = message.attribute(ADDITIONAL_ADDRESS_FAMILY);
        let even = message.attribute(EVEN_PORT);
        if message.attribute(RESERVATION_TOKEN).is_some() {
            let alone = family.is_none() && additional.is_none() && even.is_none();
            // Nothing is ever reserved, so no token is good.
            return Err(if alone { Refusal::Capacity } else { Refusal::BadRequest });
        }
        if family.is_some() && additional.is_some() {
            return Err(Refusal::BadRequest);
        }
        let reserve = even.is_some_and(|value| value.first().is_some_and(|byte| byte & 0x80 != 0));
        if reserve {
            return Err(if additional.is_some() { Refusal::BadRequest } else { Refusal::Capacity });
        }
        let family = family.map_or(Ok(Family::V4), read_family)?;
        let lifetime_s = lifetime(message).ok_or(Refusal::BadRequest)?;
        Ok(Self { family, lifetime_s, is_even: even.is_some(), both: additional.is_some() })
    }
}

fn read_family(value: &[u8]) -> Result<Family, Refusal> {
    let number = value.first().ok_or(Refusal::BadRequest)?;
    Family::read(*number).ok_or(Refusal::FamilyNotSupported)
}

/// What LIFETIME asks for, within bounds: 0 ends the allocation. `None`: it is no number.
fn lifetime(message: &Message<'_>) -> Option<u32> {
    let Some(value) = message.attribute(LIFETIME) else { return Some(DEFAULT_LIFETIME_S) };
    match u32::from_be_bytes(value.try_into().ok()?) {
        0 => Some(0),
        wanted => Some(wanted.clamp(DEFAULT_LIFETIME_S, MOST_LIFETIME_S)),
    }
}

/// Attributes that the requests of a client may carry without a 420.
fn is_known(kind: u16) -> bool {
    const KNOWN: [u16; 13] = [
        USERNAME,
        REALM,
        NONCE,
        LIFETIME,
        CHANNEL_NUMBER,
        XOR_PEER_ADDRESS,
        REQUESTED_ADDRESS_FAMILY,
        EVEN_PORT,
        REQUESTED_TRANSPORT,
        DONT_FRAGMENT,
        RESERVATION_TOKEN,
        PASSWORD_ALGORITHM,
        crate::attributes::DATA,
    ];
    KNOWN.contains(&kind)
}
