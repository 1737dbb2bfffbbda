//! A server, and clients who speak to it. Messages are read by `rtc-stun`, an implementation that is not ours.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_turn::message::{Class, Integrity, Method, Writer};
use parlor_turn::server::{Action, Now, Rules, Server};
use parlor_turn::{AllocationId, Client, Counts, Credentials, DropReason, Ground, Peers, Refusal, Secret};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{Getter as _, Message};
use rtc_stun::xoraddr::XorMappedAddress;

pub const USERNAME: u16 = 0x0006;
pub const CHANNEL_NUMBER: u16 = 0x000C;
pub const LIFETIME: u16 = 0x000D;
pub const XOR_PEER_ADDRESS: u16 = 0x0012;
pub const DATA: u16 = 0x0013;
pub const REALM: u16 = 0x0014;
pub const NONCE: u16 = 0x0015;
pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
pub const REQUESTED_TRANSPORT: u16 = 0x0019;
pub const UNIX_S: u64 = 1_800_000_000;
const SECRET: &str = "north";

/// The time of a test.
pub struct Scene {
    pub server: Server,
    pub now: Now,
    /// Relay ports that are open.
    pub open: Vec<(AllocationId, u16)>,
    /// Ports that cannot be opened.
    pub taken: Vec<u16>,
}

pub fn rules() -> Rules {
    let media = vec!["192.0.2.1:10000".parse().unwrap(), "[2001:db8::1]:10000".parse().unwrap()];
    let machine = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    Rules {
        secret: secret(),
        realm: "parlor".into(),
        relay_v4: Some("192.0.2.1".parse().unwrap()),
        relay_v6: None,
        ports: (28_000, 28_999),
        peers: Peers::new(&Ground { public: true, media, machine, ..Ground::default() }),
        most_allocations: 100,
        user_allocations: 4,
        user_bytes_per_s: 1_000_000,
        address_allocations: 30,
        address_bytes_per_s: 3_000_000,
    }
}

pub fn secret() -> Secret {
    String::from(SECRET).into()
}

impl Scene {
    pub fn new() -> Self {
        Self::with(rules())
    }

    pub fn with(rules: Rules) -> Self {
        let now = Now { instant: Instant::now(), unix_s: UNIX_S };
        Self { server: Server::new(Some(rules), now.instant, &[5; 32]), now, open: Vec::new(), taken: Vec::new() }
    }

    pub fn later(&mut self, s: u64) {
        self.now.instant += Duration::from_secs(s);
        self.now.unix_s += s;
        while self.server.poll_timeout().is_some_and(|at| at <= self.now.instant) {
            self.server.handle_timeout(self.now.instant);
        }
        self.close();
    }

    fn close(&mut self) {
        while let Some((id, _)) = self.server.poll_closed() {
            let before = self.open.len();
            self.open.retain(|(known, _)| *known != id);
            assert_eq!(self.open.len() + 1, before, "what is closed was open");
        }
    }

    /// Says something; the answer.
    pub fn say(&mut self, from: Client, bytes: &[u8]) -> Option<Answer> {
        let mut action = self.server.handle(self.now, from, bytes);
        let answer = loop {
            match action {
                Some(Action::Open { allocation, port, .. }) => {
                    let opened = !self.taken.contains(&port) && self.open.iter().all(|(_, open)| *open != port);
                    if opened {
                        self.open.push((allocation, port));
                    }
                    action = self.server.opened(self.now, allocation, opened);
                }
                Some(Action::Answer(bytes)) => break Some(Answer::read(bytes)),
                Some(Action::Relay { .. }) => panic!("that was no request"),
                None => break None,
            }
        };
        self.close();
        answer
    }

    /// Sends data; where it goes, and what arrives there.
    pub fn send(&mut self, from: Client, bytes: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
        match self.server.handle(self.now, from, bytes)? {
            Action::Relay { to, payload, .. } => Some((to, payload.to_vec())),
            other => panic!("that was data: {other:?}"),
        }
    }

    /// A peer sends to the only allocation; what arrives at its client.
    pub fn peer_sends(&mut self, from: &str, payload: &[u8]) -> Result<Vec<u8>, DropReason> {
        let [(id, _)] = self.open[..] else { panic!("one allocation") };
        let from = from.parse().unwrap();
        let envelope = self.server.relayed(self.now.instant, id, from, 1, payload.len())?;
        let mut out = Vec::new();
        envelope.write(payload, &mut out);
        Ok(out)
    }

    pub fn counts(&self) -> Counts {
        self.server.counts()
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.counts().dropped(reason)
    }
}

pub fn udp(address: &str) -> Client {
    Client::Udp { remote: address.parse().unwrap(), local: None }
}

/// A client of TURN, with what it must remember.
#[derive(Clone)]
pub struct Caller {
    pub at: Client,
    pub credentials: Credentials,
    pub realm: String,
    pub nonce: String,
    pub integrity: Integrity,
    /// The key of the password, if it is not made as usual.
    pub key: Option<Vec<u8>>,
    pub transaction: [u8; 12],
}

impl Caller {
    /// Somebody with good credentials, and a nonce.
    pub fn new(scene: &mut Scene, at: &str, user: &str) -> Self {
        let credentials = Credentials::make(&secret(), user, scene.now.unix_s, 3600);
        let mut caller = Self {
            at: udp(at),
            credentials,
            realm: "parlor".into(),
            nonce: String::new(),
            integrity: Integrity::Sha1,
            key: None,
            transaction: [1; 12],
        };
        caller.ask_nonce(scene);
        caller
    }

    /// Asks without credentials.
    pub fn ask_nonce(&mut self, scene: &mut Scene) {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes, Class::Request, Method::Allocate, &[9; 12]).add(REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        let answer = scene.say(self.at, &bytes).expect("a challenge");
        assert_eq!(answer.code(), Some(401));
        self.nonce = answer.text(NONCE).expect("a challenge has a nonce");
    }

    /// The same later, when there may be an allocation already.
    pub fn ask_nonce_again(&mut self, scene: &mut Scene) {
        let answer = Self { nonce: "stale".into(), ..self.clone() }.ask(scene, Method::Refresh, &[]);
        self.nonce = answer.text(NONCE).expect("a challenge has a nonce");
    }

    /// A signed request.
    pub fn write(&mut self, method: Method, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let last = self.transaction.last_mut().unwrap();
        *last = last.wrapping_add(1);
        let mut bytes = Vec::new();
        let mut message = Writer::new(&mut bytes, Class::Request, method, &self.transaction);
        for (kind, value) in attributes {
            message.add(*kind, value);
        }
        message.add(USERNAME, self.credentials.username.as_bytes());
        message.add(REALM, self.realm.as_bytes());
        message.add(NONCE, self.nonce.as_bytes());
        message.sign(self.integrity, &self.signing_key());
        message.add_fingerprint();
        bytes
    }

    pub fn signing_key(&self) -> Vec<u8> {
        self.key.clone().unwrap_or_else(|| key_of(&self.credentials, &self.realm))
    }

    pub fn ask(&mut self, scene: &mut Scene, method: Method, attributes: &[(u16, &[u8])]) -> Answer {
        let bytes = self.write(method, attributes);
        scene.say(self.at, &bytes).expect("a request has an answer")
    }

    pub fn allocate(&mut self, scene: &mut Scene) -> Answer {
        self.ask(scene, Method::Allocate, &[(REQUESTED_TRANSPORT, &[17, 0, 0, 0])])
    }

    pub fn permit(&mut self, scene: &mut Scene, peer: &str) -> Answer {
        let address = self.xored(peer);
        self.ask(scene, Method::CreatePermission, &[(XOR_PEER_ADDRESS, &address)])
    }

    pub fn bind(&mut self, scene: &mut Scene, number: u16, peer: &str) -> Answer {
        let address = self.xored(peer);
        let number = [number.to_be_bytes(), [0; 2]].concat();
        self.ask(scene, Method::ChannelBind, &[(CHANNEL_NUMBER, &number), (XOR_PEER_ADDRESS, &address)])
    }

    /// The address as the next request has it.
    pub fn xored(&self, peer: &str) -> Vec<u8> {
        let mut transaction = self.transaction;
        transaction[11] = transaction[11].wrapping_add(1);
        xored(peer, &transaction)
    }

    pub fn indication(&self, peer: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut message = Writer::new(&mut bytes, Class::Indication, Method::Send, &[8; 12]);
        message.add(XOR_PEER_ADDRESS, &xored(peer, &[8; 12]));
        message.add(DATA, data);
        bytes
    }
}

/// RFC 8489 section 14.2, written down once more.
pub fn xored(address: &str, transaction: &[u8; 12]) -> Vec<u8> {
    let address: SocketAddr = address.parse().unwrap();
    let mask = [&[0x21, 0x12, 0xA4, 0x42][..], transaction].concat();
    let (family, ip) = match address.ip() {
        std::net::IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        std::net::IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let port = (address.port() ^ 0x2112).to_be_bytes();
    let ip = ip.iter().zip(mask).map(|(byte, mask)| byte ^ mask);
    [0, family].into_iter().chain(port).chain(ip).collect()
}

pub fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes(), &(data.len() as u16).to_be_bytes(), data].concat()
}

/// The key as `rtc-stun` makes it.
fn key_of(credentials: &Credentials, realm: &str) -> Vec<u8> {
    let Credentials { username, credential } = credentials.clone();
    let provider = rtc_crypto::default_provider().unwrap();
    MessageIntegrity::long_term_integrity_key(username, realm.to_owned(), credential, provider.crypto()).unwrap()
}

/// An answer, read by `rtc-stun`.
pub struct Answer {
    pub message: Message,
    pub raw: Vec<u8>,
}

impl Answer {
    pub fn read(bytes: &[u8]) -> Self {
        let mut message = Message::new();
        message.unmarshal_binary(bytes).expect("an answer is STUN");
        if message.contains(rtc_stun::attributes::ATTR_FINGERPRINT) {
            FINGERPRINT.check(&message).expect("its fingerprint is right");
        }
        Self { message, raw: bytes.to_vec() }
    }

    pub fn attribute(&self, kind: u16) -> Option<Vec<u8>> {
        self.message.get(rtc_stun::attributes::AttrType(kind)).ok()
    }

    pub fn text(&self, kind: u16) -> Option<String> {
        self.attribute(kind).map(|value| String::from_utf8(value).unwrap())
    }

    /// Is it signed with that, by MESSAGE-INTEGRITY?
    pub fn is_signed(&self, key: &[u8]) -> bool {
        let provider = rtc_crypto::default_provider().unwrap();
        MessageIntegrity::check(&mut self.message.clone(), key, provider.crypto()).is_ok()
    }

    /// The error code; `None`: it is a success.
    pub fn code(&self) -> Option<u16> {
        let value = self.attribute(0x0009);
        assert_eq!(value.is_some(), self.raw[0] & 1 == 1 && self.raw[1] & 0x10 != 0, "an error has a code");
        value.map(|value| u16::from(value[2]) * 100 + u16::from(value[3]))
    }

    #[track_caller]
    pub fn refused(&self, refusal: Refusal) -> &Self {
        assert_eq!(self.code(), Some(refusal.code()), "{:02x?}", self.raw);
        self
    }

    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.code(), None, "{:02x?}", self.raw);
        self
    }

    pub fn address(&self, kind: u16) -> SocketAddr {
        let mut found = XorMappedAddress::default();
        found.get_from_as(&self.message, rtc_stun::attributes::AttrType(kind)).expect("it has that address");
        SocketAddr::new(found.ip, found.port)
    }

    pub fn lifetime_s(&self) -> u32 {
        u32::from_be_bytes(self.attribute(LIFETIME).expect("it has a lifetime").try_into().unwrap())
    }
}

/// What an answer that is no request's is made of.
#[track_caller]
pub fn data_indication(bytes: &[u8]) -> (SocketAddr, Vec<u8>) {
    let answer = Answer::read(bytes);
    assert_eq!(answer.raw[..2], [0x00, 0x17]);
    (answer.address(XOR_PEER_ADDRESS), answer.attribute(DATA).unwrap())
}

/// Nothing of the getter is unused.
pub fn mapped(answer: &Answer) -> SocketAddr {
    let mut found = XorMappedAddress::default();
    found.get_from(&answer.message).expect("it has a mapped address");
    SocketAddr::new(found.ip, found.port)
}
