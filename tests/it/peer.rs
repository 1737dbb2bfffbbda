//! A participant's media made of the `webrtc` crate, an implementation that is not ours: it publishes sound and picture that
//! say whose they are, answers requests for key frames, and keeps a record of all that arrives.

mod caller;
mod keyframes;
mod payload;
mod publisher;
mod road;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceCandidateInit,
    RTCIceServer, RTCIceTransportPolicy, RTCPeerConnectionState, RTCSessionDescription, RTCSignalingState,
    RTCStatsReportEntry, Registry, SettingEngineBuilder, StatsSelector, register_default_interceptors,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpTransceiver};

pub(crate) use self::caller::{Caller, meet};
use self::keyframes::Requests;
use self::publisher::{engine, local_track, publish};
pub(crate) use self::road::Mischief;
use self::road::Road;
use crate::harness::{PATIENCE, until};
use crate::tunnel::Ticket;

/// Packets within which one that comes again is known.
const REMEMBERED: usize = 2_048;

/// What a peer publishes, or hears and sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Audio,
    Video,
}

/// A packet that arrived in a slot.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) kind: Kind,
    /// The slot's `a=mid`.
    pub(crate) mid: String,
    /// Who published it: [`Peer::tag`].
    pub(crate) publisher: u32,
    /// The publisher's packets of this kind, counted from 0.
    pub(crate) counter: u32,
    /// The first packet of a key frame.
    pub(crate) keyframe: bool,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

/// One of its own candidates.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// `host`, `relay` or the like.
    pub(crate) kind: String,
    pub(crate) address: String,
    /// It is in the pair that carries the media.
    pub(crate) selected: bool,
}

/// What comes and goes on a connection, shared with its tasks.
#[derive(Default)]
struct Shared {
    arrivals: Mutex<Vec<Arrival>>,
    /// Packets sent, of sound and of picture.
    sent: [AtomicUsize; 2],
    /// Every signaling state that the connection has been in.
    signaling: Mutex<Vec<RTCSignalingState>>,
}

/// How a peer reaches the server.
pub(crate) struct Way {
    pub(crate) servers: Vec<RTCIceServer>,
    /// Nothing but relays of those servers.
    pub(crate) relay_only: bool,
    /// Through somebody who does this to the packets.
    pub(crate) mischief: Option<Mischief>,
    /// Through the relay over TLS.
    pub(crate) tls: Option<Ticket>,
    /// Where its socket is.
    pub(crate) from: &'static str,
    /// By TCP alone, to the passive candidates of the answer.
    pub(crate) tcp: bool,
}

impl Way {
    /// Over a loopback that does that.
    pub(crate) fn through(mischief: Mischief) -> Self {
        Self { mischief: Some(mischief), ..Self::direct() }
    }

    /// Over loopback, where UDP is blocked.
    pub(crate) fn tcp() -> Self {
        Self { tcp: true, ..Self::direct() }
    }

    /// Over loopback.
    pub(crate) fn direct() -> Self {
        Self { servers: Vec::new(), relay_only: false, mischief: None, tls: None, from: "127.0.0.1:0", tcp: false }
    }
}

/// One connection of one participant.
pub(crate) struct Peer {
    /// The number in all its packets.
    pub(crate) tag: u32,
    connection: Arc<dyn PeerConnection>,
    tracks: Option<[Arc<TrackLocalStaticRTP>; 2]>,
    /// By the number of their media section, as `webrtc` numbers them.
    transceivers: Vec<Arc<dyn RtpTransceiver>>,
    shared: Arc<Shared>,
    requests: Requests,
    state: watch::Receiver<RTCPeerConnectionState>,
    publishing: Option<JoinHandle<()>>,
    road: Option<Road>,
    tcp: bool,
}

impl Peer {
    /// A connection that will publish, with as many slots of each kind.
    pub(crate) async fn new(tag: u32, slots: usize) -> Self {
        Self::by(Way::direct(), tag, slots).await
    }

    /// The same, by some way.
    pub(crate) async fn by(way: Way, tag: u32, slots: usize) -> Self {
        let mut peer = Self::bare(way, tag).await;
        peer.add_tracks().await;
        peer.add_slots(slots).await;
        peer
    }

    /// A connection that only watches.
    pub(crate) async fn watching(slots: usize) -> Self {
        let mut peer = Self::bare(Way::direct(), 0).await;
        peer.add_slots(slots).await;
        peer
    }

    /// A connection without sections.
    async fn bare(way: Way, tag: u32) -> Self {
        let shared = Arc::new(Shared::default());
        let requests = Requests::default();
        let (state_tx, state) = watch::channel(RTCPeerConnectionState::New);
        let handler = Handler { shared: Arc::clone(&shared), state: state_tx };
        let mut engine = engine();
        let registry = register_default_interceptors(Registry::new(), &mut engine).expect("the defaults fit");
        // Two calls in one process would quarrel over the port of multicast DNS, which nobody here needs.
        // And a relay need not wait for something better.
        let settings = SettingEngineBuilder::new()
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_relay_acceptance_min_wait(Some(Duration::ZERO))
            // Who is at no address of his own choice has new sockets after a restart, as browsers have.
            .with_discard_local_candidates_during_ice_restart(way.from.starts_with("0.0.0.0"))
            .build();
        let policy = if way.relay_only { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
        let connection = PeerConnectionBuilder::new()
            .with_configuration(
                RTCConfigurationBuilder::default()
                    .with_ice_servers(way.servers)
                    .with_ice_transport_policy(policy)
                    .build(),
            )
            .with_media_engine(engine)
            .with_interceptor_registry(requests.watch(registry))
            .with_setting_engine(settings)
            .with_handler(Arc::new(handler))
            .with_udp_addrs(if way.tcp { vec![] } else { vec![way.from] })
            .with_tcp_addrs(if way.tcp { vec![way.from] } else { vec![] })
            .build()
            .await
            .expect("a connection needs nothing but a port");
        let connection: Arc<dyn PeerConnection> = Arc::new(connection);
        let road = way.mischief.map(Road::new).or(way.tls.map(Road::by_tls));
        Self {
            tag,
            connection,
            tracks: None,
            transceivers: Vec::new(),
            shared,
            requests,
            state,
            publishing: None,
            road,
            tcp: way.tcp,
        }
    }

    async fn add_tracks(&mut self) {
        let tracks =
            [Kind::Audio, Kind::Video].map(|kind| Arc::new(TrackLocalStaticRTP::new(local_track(self.tag, kind))));
        for track in &tracks {
            let init = RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Sendonly, ..Default::default() };
            let added = self.connection.add_transceiver_from_track(Arc::clone(track) as _, Some(init)).await;
            self.transceivers.push(added.expect("a track can be added"));
        }
        self.tracks = Some(tracks);
    }

    /// Receive-only sections: as many for sound as for picture. They are there after the next offer.
    pub(crate) async fn add_slots(&mut self, slots: usize) {
        for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
            for _ in 0..slots {
                let init =
                    RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Recvonly, ..Default::default() };
                let added = self.connection.add_transceiver_from_kind(kind, Some(init)).await;
                self.transceivers.push(added.expect("a slot can be added"));
            }
        }
    }

    /// The next offer. The peer's own candidates need not be in it.
    pub(crate) async fn offer(&self) -> String {
        let offer = self.connection.create_offer(None).await.expect("an offer can be made");
        let sdp = offer.sdp.clone();
        self.connection.set_local_description(offer).await.expect("one's own offer is taken");
        sdp
    }

    /// The `a=mid` of what it publishes: sound, picture.
    pub(crate) async fn mids(&self) -> [String; 2] {
        let mut mids = [String::new(), String::new()];
        for (mid, transceiver) in mids.iter_mut().zip(&self.transceivers) {
            *mid = transceiver.mid().await.expect("the connection lives").expect("an offer has numbered it");
        }
        mids
    }

    /// Takes the server's answer.
    pub(crate) async fn accept(&mut self, answer: &str) {
        let answer = match &mut self.road {
            Some(road) => road.lead(answer).await,
            None => answer.to_owned(),
        };
        let (answer, candidates) = if self.tcp { tcp_candidates(&answer) } else { (answer, Vec::new()) };
        let answer = RTCSessionDescription::answer(answer).expect("the answer is SDP");
        self.connection.set_remote_description(answer).await.expect("the answer fits the offer");
        for candidate in candidates {
            let candidate = RTCIceCandidateInit { candidate, ..Default::default() };
            self.connection.add_ice_candidate(candidate).await.expect("the candidate can be read");
        }
    }

    /// Waits for `connectionState` to be `connected`.
    pub(crate) async fn connected(&mut self) {
        let connected = self.state.wait_for(|state| *state == RTCPeerConnectionState::Connected);
        tokio::time::timeout(PATIENCE, connected).await.expect("it connects in time").expect("the connection lives");
    }

    /// Its ICE user name, from its offer.
    pub(crate) async fn ice_ufrag(&self) -> String {
        let own = self.connection.local_description().await.expect("it has made an offer").sdp;
        own.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).expect("an offer has it").to_owned()
    }

    /// The connection's state now.
    pub(crate) fn state(&self) -> RTCPeerConnectionState {
        *self.state.borrow()
    }

    /// Sends sound and picture from now on.
    pub(crate) fn publish(&mut self) {
        let tracks = self.tracks.take().expect("a peer publishes once");
        let (tag, shared, requests) = (self.tag, Arc::clone(&self.shared), self.requests.clone());
        self.publishing = Some(tokio::spawn(publish(tag, tracks, shared, requests)));
    }

    /// How many packets of a kind it has sent.
    pub(crate) fn sent(&self, kind: Kind) -> u32 {
        self.shared.sent[kind as usize].load(Ordering::SeqCst) as u32
    }

    /// How often it was asked for a key frame.
    pub(crate) fn keyframe_requests(&self) -> usize {
        self.requests.count()
    }

    /// Every signaling state it has been in: two for each offer.
    pub(crate) fn signaling(&self) -> Vec<RTCSignalingState> {
        self.shared.signaling.lock().expect("nobody panics with it").clone()
    }

    /// What has arrived of one publisher.
    pub(crate) fn arrivals(&self, kind: Kind, publisher: u32) -> Vec<Arrival> {
        let arrivals = self.shared.arrivals.lock().expect("nobody panics with it");
        arrivals.iter().filter(|arrival| (arrival.kind, arrival.publisher) == (kind, publisher)).cloned().collect()
    }

    /// The highest counter that has arrived of one publisher.
    pub(crate) fn latest(&self, kind: Kind, publisher: u32) -> Option<u32> {
        self.arrivals(kind, publisher).iter().map(|arrival| arrival.counter).max()
    }

    /// Waits until sound and picture of a publisher arrive that were sent after this call.
    pub(crate) async fn receives(&self, publisher: &Peer) {
        for kind in [Kind::Audio, Kind::Video] {
            self.receives_kind(kind, publisher).await;
        }
    }

    /// Waits until packets of that kind arrive that were sent after this call.
    pub(crate) async fn receives_kind(&self, kind: Kind, publisher: &Peer) {
        let wanted = publisher.sent(kind) + 5;
        let what = format!("{} gets {kind:?} of {}", self.tag, publisher.tag);
        until(&what, async || self.latest(kind, publisher.tag).filter(|latest| *latest >= wanted)).await;
    }

    /// Waits until nothing of that kind has arrived for the last 50 packets that the publisher sent.
    pub(crate) async fn misses(&self, kind: Kind, publisher: &Peer) {
        let what = format!("{} gets no {kind:?} of {} any more", self.tag, publisher.tag);
        let silent = async || {
            let latest = self.latest(kind, publisher.tag).unwrap_or(0);
            (publisher.sent(kind) > latest + 50).then_some(())
        };
        until(&what, silent).await;
    }

    /// Its own candidates.
    pub(crate) async fn candidates(&self) -> Vec<Candidate> {
        let report = self.connection.get_stats(std::time::Instant::now(), StatsSelector::None).await;
        let (mut selected, mut pairs, mut own) = (String::new(), HashMap::new(), Vec::new());
        for entry in report.iter() {
            match entry {
                RTCStatsReportEntry::Transport(it) => selected.clone_from(&it.selected_candidate_pair_id),
                RTCStatsReportEntry::IceCandidatePair(it) => {
                    pairs.insert(it.stats.id.clone(), it.local_candidate_id.clone());
                }
                RTCStatsReportEntry::LocalCandidate(it) => own.push(it),
                _ => {}
            }
        }
        let in_use = pairs.get(&selected);
        own.into_iter()
            .map(|it| Candidate {
                kind: it.candidate_type.to_string(),
                address: it.address.clone().unwrap_or_default(),
                selected: in_use.is_some_and(|id| it.stats.id.ends_with(id.as_str())),
            })
            .collect()
    }

    /// The candidate that its packets leave by.
    pub(crate) async fn selected(&self) -> Candidate {
        self.candidates().await.into_iter().find(|it| it.selected).expect("one is in use")
    }

    /// The next offer has new credentials for ICE.
    pub(crate) async fn restart_ice(&self) {
        self.connection.restart_ice().await.expect("the connection lives");
    }

    /// No packet passes any more, in either direction: the cable is cut.
    pub(crate) fn cut_off(&mut self) {
        drop(self.road.take().expect("its packets pass a road"));
    }

    /// Ends the connection as a closed page does.
    pub(crate) async fn close(&mut self) {
        if let Some(publishing) = self.publishing.take() {
            publishing.abort();
        }
        self.connection.close().await.expect("a connection can be closed");
    }
}

/// An answer without its candidates, and those for TCP.
fn tcp_candidates(answer: &str) -> (String, Vec<String>) {
    let is_candidate = |line: &&str| line.starts_with("a=candidate:");
    let tcp = answer.lines().filter(is_candidate).filter(|line| line.contains(" tcptype passive"));
    let rest = answer.split_inclusive('\n').filter(|line| !is_candidate(line));
    (rest.collect(), tcp.map(|line| line.trim_start_matches("a=").to_owned()).collect())
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(publishing) = &self.publishing {
            publishing.abort();
        }
    }
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

    async fn on_signaling_state_change(&self, state: RTCSignalingState) {
        self.shared.signaling.lock().expect("nobody panics with it").push(state);
    }

    // The connection's own task runs this: it must come back before anything else happens.
    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        tokio::spawn(receive(track, Arc::clone(&self.shared)));
    }
}

async fn receive(track: Arc<dyn TrackRemote>, shared: Arc<Shared>) {
    let mut mid = String::new();
    let kind = if track.kind().await == RtpCodecKind::Audio { Kind::Audio } else { Kind::Video };
    while let Some(event) = track.poll().await {
        match event {
            // Sections are numbered in the order they were added, and named by their number.
            TrackRemoteEvent::OnOpen(init) => mid = usize::from(init.receiver_id).to_string(),
            TrackRemoteEvent::OnRtpPacket(packet) => {
                let Some((publisher, counter)) = payload::read(&packet.payload) else { continue };
                let keyframe = kind == Kind::Video && payload::starts_keyframe(&packet.payload);
                let rtp::Header { ssrc, sequence_number: sequence, timestamp, .. } = packet.header;
                let arrival =
                    Arrival { kind, mid: mid.clone(), publisher, counter, keyframe, ssrc, sequence, timestamp };
                let mut arrivals = shared.arrivals.lock().expect("nobody panics with it");
                // A probe of the line sends packets once more, and this crate hands on what a jitter buffer would drop.
                let same = |known: &&Arrival| (known.ssrc, known.sequence, known.counter) == (ssrc, sequence, counter);
                let again =
                    arrivals.iter().rev().take(REMEMBERED).find(same).is_some_and(|it| it.timestamp == timestamp);
                if kind == Kind::Audio || !again {
                    arrivals.push(arrival);
                }
            }
            _ => {}
        }
    }
}
