//! The transport half of a server's peer, and a network between it and a client that a test can disturb.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_media::client::{Client, Event, Identity, Plan};
use parlor_media::demux::{Kind, classify};
use parlor_media::drop::Drop;
use parlor_media::dtls::{Certificate, Dtls};
use parlor_media::ice::Agent;
use parlor_media::sdp::{Answer, Offer, SlotLine};
use parlor_media::srtp::{Opener, Sealer};

pub const SERVER: &str = "192.0.2.1:40000";
const CLIENT: &str = "198.51.100.2:50000";

pub struct Server {
    pub agent: Agent,
    pub dtls: Dtls,
    pub media: Option<(Sealer, Opener)>,
    pub drops: Vec<Drop>,
    out: Vec<Vec<u8>>,
}

impl Server {
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) {
        let from: SocketAddr = CLIENT.parse().unwrap();
        match classify(datagram) {
            Some(Kind::Stun) => {
                let mut out = Vec::new();
                match self.agent.handle(from, datagram, &mut out) {
                    Ok(_) => self.out.push(out),
                    Err(drop) => self.drops.push(drop),
                }
            }
            Some(Kind::Dtls) => {
                self.drops.extend(self.dtls.handle(now, datagram).err());
                if let Some(keys) = self.dtls.take_keys() {
                    self.media = Some((Sealer::new(&keys), Opener::new(&keys)));
                }
            }
            _ => panic!("not of the transport"),
        }
    }

    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if !self.out.is_empty() {
            return Some(self.out.remove(0));
        }
        self.dtls.poll_transmit().map(|datagram| datagram.to_vec())
    }
}

/// A client, a server, and the time between them.
pub struct Pair {
    pub client: Client,
    pub server: Server,
    pub now: Instant,
    /// Datagrams of the client and of the server so far.
    pub sent: [usize; 2],
}

/// Who sent a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Pair {
    pub fn new(plan: Plan) -> Self {
        Self::with(plan, |answer| answer)
    }

    pub fn with(plan: Plan, change: impl FnOnce(Offer) -> Offer) -> Self {
        let identity = Identity::new(&Certificate::generate().unwrap()).unwrap();
        let certificate = Certificate::generate().unwrap();
        let mut client = Client::new(plan, &identity);
        let offer = change(Offer::parse(&client.offer()).unwrap());
        let answer = answer(&offer, &certificate);
        let server = Server {
            agent: Agent::new(answer.ice_ufrag.clone(), answer.ice_pwd.clone(), offer.ice_ufrag.clone()),
            dtls: Dtls::new(&certificate, offer.fingerprint),
            media: None,
            drops: Vec::new(),
            out: Vec::new(),
        };
        let now = instant();
        client.accept(now, &offer.answer(&answer)).unwrap();
        Self { client, server, now, sent: [0; 2] }
    }

    /// Lets both talk until `done`, or for a minute of their time. `pass` may change or lose a datagram: it says which copies
    /// arrive.
    pub fn run(
        &mut self,
        mut pass: impl FnMut(Side, usize, Vec<u8>) -> Vec<Vec<u8>>,
        mut done: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = self.now + Duration::from_secs(60);
        loop {
            let mut quiet = true;
            while let Some((_, datagram)) = self.client.poll_transmit() {
                quiet = false;
                self.sent[0] += 1;
                for copy in pass(Side::Client, self.sent[0], datagram) {
                    self.server.handle(self.now, &copy);
                }
            }
            while let Some(datagram) = self.server.poll_transmit() {
                quiet = false;
                self.sent[1] += 1;
                for mut copy in pass(Side::Server, self.sent[1], datagram) {
                    if let Ok(Some(Event::Closed)) = self.client.handle(self.now, &mut copy) {
                        return done(self);
                    }
                }
            }
            if done(self) {
                return true;
            }
            if quiet {
                let timeouts = [self.client.poll_timeout(), self.server.dtls.poll_timeout()];
                let Some(next) = timeouts.into_iter().flatten().min() else { return false };
                if next > end {
                    return false;
                }
                self.now = self.now.max(next);
                self.client.handle_timeout(self.now);
                self.server.dtls.handle_timeout(self.now);
            }
        }
    }

    /// Shakes hands over a network that loses nothing.
    pub fn connect(&mut self) {
        assert!(self.run(|_, _, datagram| vec![datagram], Self::is_connected), "no connection");
    }

    pub fn is_connected(&self) -> bool {
        self.client.is_connected() && self.server.dtls.is_established()
    }
}

/// The one place where the tests read a clock: its value does not matter, only what is added to it.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise")]
pub fn instant() -> Instant {
    Instant::now()
}

pub fn answer(offer: &Offer, certificate: &Certificate) -> Answer {
    let slots = offer.slots().enumerate().map(|(at, (_, media))| SlotLine {
        ssrc: 1_000 + at as u32,
        rtx_ssrc: media.codec().and_then(|codec| codec.rtx_payload_type).map(|_| 2_000 + at as u32),
        stream: format!("slot{at}"),
        track: format!("track{at}"),
    });
    Answer {
        version: 1,
        ice_ufrag: "server".into(),
        ice_pwd: "serverpasswordserverpassword".into(),
        fingerprint: certificate.fingerprint(),
        candidates: vec![SERVER.parse().unwrap(), "[2001:db8::1]:40000".parse().unwrap()],
        tcp_candidates: vec!["192.0.2.1:40001".parse().unwrap()],
        slots: slots.collect(),
    }
}
