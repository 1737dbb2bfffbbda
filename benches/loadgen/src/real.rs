//! A peer made of the `webrtc` crate, an implementation that is not ours. It opens every packet, asks for lost ones by itself and
//! sends feedback; it costs a hundred times what a cheap one does, so that a few of them stand among many of those.

mod publish;
mod requests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, bail};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCPeerConnectionState, RTCSessionDescription,
    Registry, SettingEngineBuilder, register_default_interceptors,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpTransceiver};

use self::publish::{Names, Outlet, engine};
use self::requests::Requests;
use crate::cheap::delay_ns;
use crate::guest::{Party, Sends, candidate};
use crate::meter::Meter;
use crate::relay::Relay;
use crate::scenario::Road;
use crate::server::LOOPBACK;
use crate::tally::{Arrived, Counts, Sequence};

/// One of them.
pub(crate) struct Real {
    connection: Arc<dyn PeerConnection>,
    /// Its send lines, until they are sent on.
    outlets: Vec<Outlet>,
    transceivers: Vec<Arc<dyn RtpTransceiver>>,
    shared: Arc<Shared>,
    requests: Requests,
    state: watch::Receiver<RTCPeerConnectionState>,
    /// Tells the senders which layers are watched: line, layers.
    switches: Vec<mpsc::UnboundedSender<Vec<bool>>>,
    senders: Vec<JoinHandle<()>>,
    road: Road,
    relay: Option<Relay>,
    seed: u64,
}

/// What its tasks share.
struct Shared {
    meter: Arc<Meter>,
    ready_at: Mutex<Option<Instant>>,
}

impl Real {
    /// A connection with its send lines and slots.
    pub(crate) async fn new(number: usize, sends: Sends, party: &Party) -> anyhow::Result<Self> {
        let Party { scenario, seed, .. } = party;
        let shared = Arc::new(Shared { meter: Arc::clone(&party.meter), ready_at: Mutex::new(None) });
        let requests = Requests::default();
        let (state_tx, state) = watch::channel(RTCPeerConnectionState::New);
        let handler = Handler { shared: Arc::clone(&shared), state: state_tx };
        let mut engine = engine()?;
        let registry = register_default_interceptors(Registry::new(), &mut engine)?;
        // Two connections in one process would quarrel over the port of multicast DNS, which nobody here needs.
        let settings = SettingEngineBuilder::new().with_multicast_dns_mode(MulticastDnsMode::Disabled).build();
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_interceptor_registry(requests.watch(registry))
            .with_setting_engine(settings)
            .with_handler(Arc::new(handler))
            // A relay is on loopback.
            .with_udp_addrs(vec![SocketAddr::new(if scenario.road.is_perfect() { party.local } else { LOOPBACK }, 0)])
            .build()
            .await?;
        let mut real = Self {
            connection: Arc::new(connection),
            outlets: Vec::new(),
            transceivers: Vec::new(),
            shared,
            requests,
            state,
            switches: Vec::new(),
            senders: Vec::new(),
            road: scenario.road,
            relay: None,
            seed: seed.wrapping_add(number as u64),
        };
        for (line, source) in sends.lines.iter().zip(sends.sources) {
            let outlet = Outlet::new(number, line, source);
            let init = RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Sendonly, ..Default::default() };
            let track = Arc::clone(&outlet.track);
            real.transceivers.push(real.connection.add_transceiver_from_track(track as _, Some(init)).await?);
            real.outlets.push(outlet);
        }
        let slots =
            [(RtpCodecKind::Audio, scenario.watch.audio_slots), (RtpCodecKind::Video, scenario.watch.video_slots)];
        for kind in slots.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count)) {
            let init = RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Recvonly, ..Default::default() };
            real.connection.add_transceiver_from_kind(kind, Some(init)).await?;
        }
        Ok(real)
    }

    /// Its offer, and the `a=mid` of each send line.
    pub(crate) async fn offer(&mut self) -> anyhow::Result<(String, Vec<String>)> {
        let offer = self.connection.create_offer(None).await?;
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(offer).await?;
        let mut mids = Vec::new();
        for (transceiver, outlet) in self.transceivers.iter().zip(&mut self.outlets) {
            let mid = transceiver.mid().await?.context("the offer has numbered its lines")?;
            outlet.names = Names::of(&sdp, &mid);
            mids.push(mid);
        }
        Ok((sdp, mids))
    }

    /// Takes the server's answer.
    pub(crate) async fn accept(&mut self, answer: &str) -> anyhow::Result<()> {
        let answer = self.lead(answer).await?;
        self.connection.set_remote_description(RTCSessionDescription::answer(answer)?).await?;
        Ok(())
    }

    /// The answer, with the entrance of a bad line in place of the server's address where the line is bad.
    async fn lead(&mut self, answer: &str) -> anyhow::Result<String> {
        if self.road.is_perfect() {
            return Ok(answer.to_owned());
        }
        let server = candidate(answer).context("the server announces no address of IPv4 for UDP")?;
        let relay = Relay::open(server, self.road, self.seed).await?;
        let (from, to) = (format!("{} {}", server.ip(), server.port()), relay.entrance);
        let to = format!("{} {}", to.ip(), to.port());
        self.relay = Some(relay);
        // No other way leads to the server.
        let is_kept = |line: &&str| !line.starts_with("a=candidate:") || line.contains(&from);
        let lines = answer.lines().filter(is_kept).map(|line| line.replace(&from, &to) + "\r\n");
        Ok(lines.collect())
    }

    /// Waits for the connection.
    pub(crate) async fn connected(&mut self) -> anyhow::Result<()> {
        let mut state = self.state.clone();
        let decided = |state: &RTCPeerConnectionState| !is_early(*state);
        let decided = *state.wait_for(decided).await.context("the connection has ended")?;
        if decided != RTCPeerConnectionState::Connected {
            bail!("a real peer's connection is {decided}");
        }
        Ok(())
    }

    /// The server knows that it is ready: what it has is sent, and what comes counts.
    pub(crate) fn ready(&mut self) {
        *self.shared.ready_at.lock().expect("nobody panics with it") = Some(Instant::now());
        for outlet in self.outlets.drain(..) {
            let (tell, told) = mpsc::unbounded_channel();
            self.switches.push(tell);
            let publish = outlet.publish(told, self.requests.clone(), Arc::clone(&self.shared.meter));
            self.senders.push(tokio::spawn(publish));
        }
    }

    pub(crate) fn switch(&mut self, line: usize, on: Vec<bool>) {
        if let Some(tell) = self.switches.get(line) {
            // The sender has ended with the connection.
            let _ = tell.send(on);
        }
    }

    /// Comes back when the connection is over.
    pub(crate) async fn closed(&mut self) {
        use RTCPeerConnectionState::{Closed, Failed};
        // Nobody is left to tell: over as well.
        let _ = self.state.wait_for(|state| matches!(state, Closed | Failed)).await;
    }

    pub(crate) async fn leave(self) {
        self.senders.iter().for_each(JoinHandle::abort);
        // It is given up in any case.
        let _ = self.connection.close().await;
    }
}

fn is_early(state: RTCPeerConnectionState) -> bool {
    use RTCPeerConnectionState::{Connecting, New, Unspecified};
    matches!(state, New | Connecting | Unspecified)
}

struct Handler {
    shared: Arc<Shared>,
    state: watch::Sender<RTCPeerConnectionState>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    // The connection's own task runs this: it must come back before anything else happens.
    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        tokio::spawn(receive(track, Arc::clone(&self.shared)));
    }
}

async fn receive(track: Arc<dyn TrackRemote>, shared: Arc<Shared>) {
    let is_sound = track.kind().await == RtpCodecKind::Audio;
    let mut sequence = Sequence::default();
    let mut own = None;
    while let Some(event) = track.poll().await {
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        // A repaired packet comes under the stream's own number, or not at all.
        if *own.get_or_insert(packet.header.ssrc) != packet.header.ssrc {
            continue;
        }
        let now = Instant::now();
        let is_first = sequence.is_new();
        let (expected, received, recovered) = match sequence.take(packet.header.sequence_number, now) {
            Arrived::New(expected) => (expected, 1, 0),
            Arrived::Late => (0, 1, 1),
            Arrived::Known => (0, 0, 0),
        };
        let bytes_received = packet.payload.len() as u64;
        let mut counts = Counts { recovered, opened: 1, bytes_received, ..Counts::default() };
        counts.came(is_sound, expected, received);
        shared.meter.add(counts, &[], &[]);
        if let Some(delay_ns) = delay_ns(&packet.payload).filter(|_| recovered == 0) {
            shared.meter.real_delay(delay_ns);
        }
        if is_first && let Some(ready_at) = shared.ready_at.lock().expect("nobody panics with it").take() {
            shared.meter.first_packet(now - ready_at);
        }
    }
}
