//! The relay: messages of clients, signed and not, datagrams of peers, and streams.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_turn::message::{Class, Integrity, Message, Method, Writer};
use parlor_turn::server::{Action, Now, Rules, Server};
use parlor_turn::{AllocationId, Client, Credentials, Frames, Ground, MAX_FRAME_BYTES, Peers, Secret};
use ring::digest;

const NONCE: u16 = 0x0015;

/// Records of a kind, a length (16 bits) and that many bytes: raw messages of a stranger and of a client with an allocation,
/// attributes that are signed on their way, datagrams of peers, bytes of a stream, and time that goes by.
///
/// What is answered is STUN, what is relayed goes to public addresses, and every allocation that was opened is closed in the end.
pub fn turn_message(data: &[u8]) {
    let mut relay = Relay::new();
    let mut frames = Frames::default();
    let mut rest = data;
    // More records find no more: they only make each try slow.
    for _ in 0..64 {
        let [kind, high, low, tail @ ..] = rest else { break };
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (record, tail) = tail.split_at(len);
        rest = tail;
        match kind & 7 {
            0 => relay.say(STRANGER, record),
            1 => relay.say(CLIENT, record),
            2..=4 => relay.sign(METHODS[usize::from(kind >> 4) % METHODS.len()], record),
            5 => relay.peer(record),
            6 => {
                frames.push(record);
                while let Ok(Some(frame)) = frames.next_frame() {
                    assert!(frame.len() <= MAX_FRAME_BYTES);
                    relay.say(CLIENT, frame);
                }
            }
            _ => relay.later(record.first_chunk().map_or(1, |time| u16::from_be_bytes(*time)).into()),
        }
    }
    // Longer than anything lasts.
    relay.later(4000);
    relay.later(10);
    assert!(relay.open.is_empty(), "an allocation never ends");
    assert_eq!(relay.server.poll_timeout(), None, "the server waits for nothing");
}

const METHODS: [Method; 4] = [Method::Allocate, Method::Refresh, Method::CreatePermission, Method::ChannelBind];
const STRANGER: Client = Client::Udp { remote: address(1), local: None };
const CLIENT: Client = Client::Udp { remote: address(2), local: None };

const fn address(host: u8) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(198, 51, 100, host), 4000))
}

struct Relay {
    server: Server,
    now: Now,
    credentials: Credentials,
    nonce: Vec<u8>,
    open: Vec<AllocationId>,
    said: u8,
}

impl Relay {
    fn new() -> Self {
        let secret = Secret::from("north".to_owned());
        let now = Now { instant: Instant::now(), unix_s: 1_800_000_000 };
        // For longer than a try: time goes by in it.
        let credentials = Credentials::make(&secret, "ada", now.unix_s, u32::MAX);
        let rules = Rules {
            secret,
            realm: "parlor".into(),
            relay_v4: Some(address(9).ip()),
            relay_v6: None,
            ports: (28_000, 28_003),
            peers: Peers::new(&Ground { public: true, ..Ground::default() }),
            most_allocations: 3,
            user_allocations: 2,
            address_allocations: u32::MAX,
            address_bytes_per_s: u64::MAX,
            user_bytes_per_s: 100_000,
        };
        let server = Server::new(Some(rules), now.instant, &[7; 32]);
        let mut relay = Self { server, now, credentials, nonce: Vec::new(), open: Vec::new(), said: 0 };
        relay.sign(Method::Allocate, &[0, 0x19, 0, 4, 17, 0, 0, 0]);
        relay.sign(Method::Allocate, &[0, 0x19, 0, 4, 17, 0, 0, 0]);
        assert_eq!(relay.open.len(), 1, "a good client gets a relay");
        relay
    }

    fn say(&mut self, from: Client, bytes: &[u8]) {
        let mut action = self.server.handle(self.now, from, bytes);
        loop {
            match action {
                Some(Action::Answer(answer)) => {
                    let answer = Message::read(answer).expect("an answer is STUN");
                    assert!(matches!(answer.class, Class::Success | Class::Error), "answers answer nothing");
                    if let Some(nonce) = answer.attribute(NONCE) {
                        self.nonce = nonce.to_vec();
                    }
                    break;
                }
                Some(Action::Relay { to, payload, .. }) => {
                    let public = |ip: std::net::Ipv4Addr| !ip.is_private() && !ip.is_loopback() && !ip.is_link_local();
                    let open = matches!(to, SocketAddr::V4(to) if public(*to.ip()) && to.port() != 0);
                    assert!(open, "{to} is not public");
                    assert!(payload.len() <= bytes.len());
                    break;
                }
                Some(Action::Open { allocation, port, .. }) => {
                    let opened = port % 3 != 0;
                    if opened {
                        self.open.push(allocation);
                    }
                    action = self.server.opened(self.now, allocation, opened);
                }
                None => break,
            }
        }
        self.close();
    }

    /// Attributes of anybody's invention, and behind them what makes them believed.
    fn sign(&mut self, method: Method, attributes: &[u8]) {
        self.said = self.said.wrapping_add(1);
        let mut bytes = Vec::new();
        let mut message = Writer::new(&mut bytes, Class::Request, method, &[self.said; 12]);
        let mut rest = attributes;
        while let [k0, k1, _, len, tail @ ..] = rest {
            let (value, tail) = tail.split_at(usize::from(*len).min(tail.len()));
            message.add(u16::from_be_bytes([*k0, *k1]), value);
            rest = tail.get(value.len().next_multiple_of(4) - value.len()..).unwrap_or_default();
        }
        let Credentials { username, credential } = &self.credentials;
        let key = digest::digest(&digest::SHA256, format!("{username}:parlor:{credential}").as_bytes());
        message.add(0x0006, username.as_bytes());
        message.add(0x0014, b"parlor");
        message.add(NONCE, &self.nonce);
        message.add(0x8002, &[0, 2, 0, 0, 0, 1, 0, 0]);
        message.add(0x001D, &[0, 2, 0, 0]);
        message.sign(Integrity::Sha256, key.as_ref());
        message.add_fingerprint();
        self.say(CLIENT, &bytes);
    }

    fn peer(&mut self, record: &[u8]) {
        let (Some(id), Some((ip, payload))) = (self.open.first().copied(), record.split_first_chunk::<4>()) else {
            return;
        };
        let from = SocketAddr::from((*ip, 4000));
        if let Ok(envelope) = self.server.relayed(self.now.instant, id, from, 1, payload.len()) {
            let mut out = Vec::new();
            envelope.write(payload, &mut out);
            assert!(out.len() <= payload.len() + 60);
        }
    }

    fn later(&mut self, s: u64) {
        self.now.instant += Duration::from_secs(s);
        self.now.unix_s += s;
        while self.server.poll_timeout().is_some_and(|at| at <= self.now.instant) {
            self.server.handle_timeout(self.now.instant);
        }
        self.close();
    }

    fn close(&mut self) {
        while let Some((id, _)) = self.server.poll_closed() {
            let at = self.open.iter().position(|open| *open == id).expect("what is closed was open");
            self.open.swap_remove(at);
        }
    }
}
