//! One native peer of a call: the media core's own client, with a socket and a seat in the room.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use parlor_media::client::{Client, Event, Identity, Plan};
use serde_json::{Value, json};

use crate::drain::{Reader, Sockets};
use crate::janus::Responder;
use crate::signal::{OpenSocket, Signal, Socket};

/// ICE, DTLS and the rest of a join take a few milliseconds; this is for a machine in trouble.
const JOIN: Duration = Duration::from_secs(10);

/// Where a call takes place.
#[derive(Clone)]
pub(crate) struct Place {
    /// `127.0.0.1:PORT` of the server.
    pub server: String,
    /// The room.
    pub room: String,
    /// The access token of its owner.
    pub token: String,
    /// The address that peers have their sockets on.
    pub local: Ipv4Addr,
}

impl Place {
    /// Enters and makes a room with that many seats; the maker's socket is the first one in.
    pub(crate) fn make<'a>(server: &str, signal: &'a Signal, seats: usize) -> anyhow::Result<(Self, Socket<'a>)> {
        let (socket, token) = signal.enter(server, "publisher")?;
        let room = signal.create_room(server, &token, seats)?;
        Ok((Self { server: server.to_owned(), room, token, local: Ipv4Addr::LOCALHOST }, socket))
    }
}

/// A client that is in the call, and what keeps it there.
pub(crate) struct Peer {
    pub client: Client,
    sockets: Arc<Sockets>,
    index: usize,
    seat: Option<OpenSocket>,
    /// Where the server is a full agent of ICE, and checks.
    responder: Option<Responder>,
}

impl Peer {
    /// A peer on one of `sockets`; it is in no call yet.
    pub(crate) fn new(plan: Plan, identity: &Identity, sockets: &Arc<Sockets>, index: usize) -> Self {
        Self { client: Client::new(plan, identity), sockets: Arc::clone(sockets), index, seat: None, responder: None }
    }

    /// Asks for a place in the call. `tracks` says what the offer's send lines carry.
    pub(crate) fn offer(&mut self, socket: &mut Socket<'_>, place: &Place, tracks: &Value) -> anyhow::Result<()> {
        let room = &place.room;
        socket.request("join_room", &json!({"roomId": room, "epoch": null, "offset": null}))?;
        let offer = json!({"roomId": room, "sdp": self.client.offer(), "tracks": tracks});
        let answer = socket.request("call.offer", &offer)?;
        let sdp = answer["sdp"].as_str().context("an answer without sdp")?;
        self.client.accept(Instant::now(), sdp).context("the answer cannot be read")?;
        Ok(())
    }

    /// Tells the server that media can come, and keeps the WebSocket open from now on.
    pub(crate) fn ready(&mut self, mut socket: Socket<'_>, place: &Place) -> anyhow::Result<()> {
        socket.request("call.ready", &json!({"roomId": place.room}))?;
        self.seat = Some(socket.keep_open());
        Ok(())
    }

    /// Checks of the server are answered from now on, with the password of that offer.
    pub(crate) fn answers_checks(&mut self, offer: &str) {
        self.responder = Responder::of_offer(offer);
    }

    /// Answers a datagram if it is a check: it is then of no more use.
    pub(crate) fn answer_check(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        let answer = self.responder.as_ref().and_then(|responder| responder.answer(from, datagram));
        if let Some(answer) = &answer {
            self.sockets.send(self.index, from, answer);
        }
        answer.is_some()
    }

    /// Where its socket is.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.sockets.addresses()?[self.index])
    }

    /// Sends what the client has to say.
    pub(crate) fn flush(&mut self) {
        while let Some((to, datagram)) = self.client.poll_transmit() {
            self.sockets.send(self.index, to, &datagram);
            self.client.recycle(datagram);
        }
    }

    /// Does what is due, such as the checks that keep the server's consent.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
            self.flush();
        }
    }
}

/// Drives all `peers` until the last one is connected.
pub(crate) fn connect_last(peers: &mut [&mut Peer], reader: &mut Reader) -> anyhow::Result<()> {
    let start = Instant::now();
    while !peers.last().expect("somebody is joining").client.is_connected() {
        ensure!(start.elapsed() < JOIN, "ICE or DTLS did not complete");
        let now = Instant::now();
        peers.iter_mut().for_each(|peer| peer.tick(now));
        reader.read(Duration::from_millis(5), |index, from, datagram| {
            let Some(peer) = peers.iter_mut().find(|peer| peer.index == index) else { return };
            if peer.answer_check(from, datagram) {
                return;
            }
            // Before the first `ready` there is no media; what is of no use is the client's to drop.
            let _: Result<Option<Event<'_>>, _> = peer.client.handle(Instant::now(), datagram);
            peer.flush();
        })?;
    }
    Ok(())
}
