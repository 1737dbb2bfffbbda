//! A shard's event loop: wait, take in a batch, send what it led to, and so on.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use parlor_media::dtls::Certificate;
use parlor_media::{Input, Output};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::lane::Lanes;
use super::socket::{Buffers, Sockets};
use super::spread::Spread;
use super::stray::Strays;
use super::tap::{Spouts, Tapping};
use super::told::{Told, told};
use super::watch::{Remedy, Watch};
use super::{CallEvent, Command, MOST_COMMANDS, OfferError, Offered, ShardHandle, ShardStats, Shared, media_source};
use crate::domain::{CallId, ParticipantId, TrackId};

const COMMANDS: Token = Token(0);
/// Batches taken from a socket before timers and commands get their turn.
pub(super) const MOST_BATCHES: usize = 32;
/// Commands taken before packets get their turn.
const MOST_AT_ONCE: usize = 64;
/// Batches of other shards that are taken in before what they led to is sent: each receiver's packets of them leave in one send.
const MOST_GATHERED: usize = 16;
/// Events kept when the layers above do not take them. Beyond it they are dropped and counted: memory has an end.
const MOST_BACKLOG: usize = 65_536;

/// What a shard is told.
pub(super) struct Inbox {
    pub commands: Receiver<Command>,
    pub shared: Arc<Shared>,
}

/// The thread side of a shard.
pub(super) struct Shard {
    pub(super) core: parlor_media::Shard,
    pub(super) config: parlor_media::Config,
    certificate: Certificate,
    pub(super) poll: Poll,
    pub(super) sockets: Sockets,
    /// The shards of the same port, in one-port mode.
    pub(super) neighbours: Vec<ShardHandle>,
    /// All shards, for calls that several of them share; and who is where.
    pub(super) shards: Vec<ShardHandle>,
    pub(super) spread: Arc<Spread>,
    /// Packets for other shards that found no room there.
    pub(super) relay_lost: u64,
    pub(super) inbox: Inbox,
    events: Sender<CallEvent>,
    backlog: VecDeque<CallEvent>,
    tapping: Tapping,
    /// Who is in which call, to tell them when the core had to be thrown away.
    pub(super) members: HashMap<ParticipantId, (CallId, u64)>,
    loop_lag: Duration,
    pub(super) send_errors: u64,
    /// Datagrams handed to another shard of the same port, those that found no room there, and those of which there were too many.
    pub(super) handed_over: [u64; 3],
    pub(super) strays: Strays,
    events_lost: u64,
    stopped: bool,
    pub(super) watch: Watch,
    /// Commands that were taken from the overflow and not obeyed yet.
    pending: VecDeque<Command>,
}

impl Shard {
    pub fn new(
        config: parlor_media::Config,
        certificate: Certificate,
        mut sockets: Sockets,
        inbox: Inbox,
        (events, spouts): (Sender<CallEvent>, Spouts),
        spread: Arc<Spread>,
    ) -> io::Result<(Shard, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), COMMANDS)?);
        sockets.register(poll.registry())?;
        let core = new_core(&config, &certificate)?;
        let shard = Shard {
            core,
            config,
            certificate,
            poll,
            sockets,
            neighbours: Vec::new(),
            shards: Vec::new(),
            spread,
            relay_lost: 0,
            inbox,
            events,
            backlog: VecDeque::new(),
            tapping: Tapping::new(spouts),
            members: HashMap::new(),
            loop_lag: Duration::ZERO,
            send_errors: 0,
            handed_over: [0; 3],
            strays: Strays::default(),
            events_lost: 0,
            stopped: false,
            watch: Watch::default(),
            pending: VecDeque::new(),
        };
        Ok((shard, waker))
    }

    pub fn run(mut self) {
        let mut poll_events = Events::with_capacity(256);
        let mut buffers = Buffers::default();
        let mut more = false;
        while !self.stopped {
            let wait = if more { Some(Duration::ZERO) } else { self.wait() };
            if let Err(error) = self.poll.poll(&mut poll_events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a shard cannot wait for its sockets and ends");
                break;
            }
            self.note(&poll_events);
            let begun = Instant::now();
            let round = catch_unwind(AssertUnwindSafe(|| self.round(&mut buffers)));
            match round {
                Ok(again) => more = again,
                Err(_) => {
                    self.recover();
                    // Edges and wakes of the lost round are gone; what they announced is not.
                    self.sockets.wake_all();
                    more = true;
                }
            }
            self.loop_lag = self.loop_lag.max(begun.elapsed());
        }
    }

    /// Until when nothing needs to be done.
    fn wait(&self) -> Option<Duration> {
        let due = self.core.poll_timeout().map(|due| due.saturating_duration_since(Instant::now()));
        // Events that found no room are offered again soon.
        let told = (!self.backlog.is_empty()).then_some(Duration::from_millis(5));
        let swept = [self.sockets.tcp.due(), self.sockets.lanes.as_ref().and_then(Lanes::due)];
        let swept = swept.into_iter().flatten().map(|due| due.saturating_duration_since(Instant::now()));
        due.into_iter().chain(told).chain(swept).chain(self.tapping.wait(&self.core)).min()
    }

    /// One round: packets, timers, commands. Answers whether more packets wait.
    fn round(&mut self, buffers: &mut Buffers) -> bool {
        self.send_errors += self.sockets.send_backlog();
        let mut more = self.receive(buffers, true);
        more |= self.receive(buffers, false);
        more |= self.receive_lanes(buffers);
        more |= self.receive_tcp(buffers);
        let now = Instant::now();
        if self.core.poll_timeout().is_some_and(|due| due <= now) {
            self.watch.begin(now);
            self.core.handle(now, Input::Timeout);
            self.watch.step(|| self.core.worked_for());
            self.flush();
            self.watch.end(now);
        }
        more |= self.take_commands();
        while let Some(call) = self.watch.condemned() {
            tracing::error!(%call, "a call stalled its shard again and again and is ended");
            self.watch.ended(now, call);
            self.end_call(call);
        }
        self.offer_backlog();
        self.tapping.offer(&mut self.core);
        self.sweep();
        if let Err(error) = self.sockets.watch(self.poll.registry()) {
            // What waits leaves with the next round, and rounds come with every packet and timer.
            tracing::error!(%error, "a shard is not told when it can send");
        }
        more
    }

    /// Takes batches from one socket until it is empty or others must have their turn; answers whether more wait.
    fn receive(&mut self, buffers: &mut Buffers, v4: bool) -> bool {
        for _ in 0..MOST_BATCHES {
            let mut begun = Instant::now();
            let Some(port) = self.sockets.readable(v4) else { return false };
            match port.receive(buffers) {
                Ok(datagrams) => {
                    begun = Instant::now();
                    self.watch.begin(begun);
                    for (from, bytes) in datagrams {
                        self.take(begun, from, bytes);
                    }
                }
                // Anything but an empty socket (an ICMP error of an earlier send) concerns one packet only.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => self.send_errors += 1,
            }
            self.flush();
            self.watch.end(begun);
        }
        true
    }

    /// Sends and tells everything that the core has to say.
    pub(super) fn flush(&mut self) {
        while let Some(output) = self.core.poll() {
            match output {
                Output::Transmit(transmit) => {
                    self.send_errors += self.sockets.send(&transmit);
                }
                Output::Relay(relay) => self.hand_on(relay),
                Output::Event(event) => {
                    let event = match told(event) {
                        Told::Call(event) => event,
                        Told::Sample(sampled) => {
                            self.tapping.sampled(sampled);
                            continue;
                        }
                    };
                    if let CallEvent::Lost { participant, .. } | CallEvent::Broke { participant, .. } = &event {
                        self.forget(*participant);
                    }
                    self.tell(event);
                }
            }
            self.watch.step(|| self.core.worked_for());
        }
    }

    fn tell(&mut self, event: CallEvent) {
        if !self.backlog.is_empty() {
            self.keep(event);
        } else if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
            self.keep(event);
        }
    }

    fn keep(&mut self, event: CallEvent) {
        if self.backlog.len() < MOST_BACKLOG {
            self.backlog.push_back(event);
        } else {
            self.events_lost += 1;
        }
    }

    fn offer_backlog(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
                self.backlog.push_front(event);
                return;
            }
        }
    }

    fn take_commands(&mut self) -> bool {
        self.stopped |= self.inbox.shared.stopped.load(Ordering::Acquire);
        // Before the queue is looked into: whoever hands something over from now on knocks again.
        self.inbox.shared.knocked.store(false, Ordering::SeqCst);
        // What overflowed is newer than all that was queued then: as long as it waits, nothing of its kind is queued.
        let overflowed = !self.overflow().is_empty();
        let most = if overflowed { MOST_COMMANDS } else { MOST_AT_ONCE };
        let mut more = true;
        let (mut begun, mut gathered) = (Instant::now(), 0);
        self.watch.begin(begun);
        for _ in 0..most {
            match self.inbox.commands.try_recv() {
                Ok(command) => {
                    gathered = if matches!(command, Command::Relay(..)) { gathered + 1 } else { MOST_GATHERED };
                    self.obey(command);
                }
                Err(error) => {
                    self.stopped |= error == TryRecvError::Disconnected;
                    more = false;
                    break;
                }
            }
            if gathered >= MOST_GATHERED {
                self.flush();
                self.watch.end(begun);
                (begun, gathered) = (Instant::now(), 0);
                self.watch.begin(begun);
            }
        }
        self.flush();
        if overflowed {
            let overflow = std::mem::take(&mut *self.overflow());
            self.pending.extend(overflow);
        }
        while let Some(command) = self.pending.pop_front() {
            self.obey(command);
            self.flush();
        }
        self.watch.end(begun);
        more
    }

    fn overflow(&self) -> MutexGuard<'_, Vec<Command>> {
        self.inbox.shared.overflow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obey(&mut self, command: Command) {
        self.carry_out(command);
        self.core.rest();
        self.watch.step(|| self.core.worked_for());
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Offer { call, participant, reply, .. } if self.watch.is_refused(Instant::now(), call) => {
                self.turned_away(call, participant);
                let _ = reply.send(Err(OfferError::Unavailable));
            }
            Command::Offer { call, participant, sdp, tracks, reply } => {
                let tracks: Vec<parlor_media::OfferedTrack> = tracks
                    .into_iter()
                    .map(|track| parlor_media::OfferedTrack {
                        mid: track.mid,
                        source: media_source(track.source),
                        track: parlor_media::TrackId(track.track.as_u128()),
                        muted: track.muted,
                    })
                    .collect();
                let call_id = parlor_media::CallId(call.as_u128());
                let answer = self.core.offer(Instant::now(), call_id, media_id(participant), &sdp, &tracks);
                match &answer {
                    Ok(answered) => self.settle(call, participant, answered.connection),
                    Err(_) => self.turned_away(call, participant),
                }
                // Whoever asked may have gone; the participant then times out.
                let answer = answer.map(|answered| Offered {
                    sdp: answered.sdp,
                    connection: answered.connection,
                    fresh: answered.fresh,
                });
                let _ = reply.send(answer.map_err(Into::into));
            }
            Command::Ready(participant) => self.core.ready(media_id(participant)),
            Command::Leave(participant) => {
                self.forget(participant);
                self.core.leave(media_id(participant));
            }
            Command::View(participant, views) => {
                let views = views
                    .into_iter()
                    .map(|view| parlor_media::View {
                        track: parlor_media::TrackId(view.track_id.as_u128()),
                        width: view.width,
                        visible: view.visible,
                    })
                    .collect();
                self.core.view(media_id(participant), views);
            }
            Command::Mute(track, muted) => self.core.mute(media_track(track), muted),
            Command::Spotlight(call, participant) => {
                self.core.spotlight(parlor_media::CallId(call.as_u128()), participant.map(media_id));
            }
            Command::Record(call, on) => {
                self.tapping.note_recording(call, on);
                self.core.record(parlor_media::CallId(call.as_u128()), on);
            }
            Command::Keyframe(track) => self.core.want_keyframe(media_track(track)),
            Command::SampleEvery(track, every) => self.core.sample_every(Instant::now(), media_track(track), every),
            Command::SampleNow(track) => self.core.sample_now(Instant::now(), media_track(track)),
            Command::Arrive(arrival) => self.arrive(*arrival),
            Command::Stray(stray) => {
                self.inbox.shared.strays.fetch_sub(1, Ordering::Relaxed);
                self.take_stray(stray);
            }
            Command::Neighbours(shards) => self.neighbours = shards,
            Command::Shards(shards) => self.shards = shards,
            Command::Relay(from, bytes) => self.take_relay(from, bytes),
            Command::Stats(reply) => {
                let stats = ShardStats {
                    media: self.core.stats(),
                    loop_lag: std::mem::take(&mut self.loop_lag),
                    send_errors: self.send_errors,
                    events_lost: self.events_lost,
                    broken_calls: self.watch.broken,
                    stalls: self.watch.stalled,
                    tcp_connections: self.sockets.tcp.len(),
                    tcp_dropped: self.sockets.tcp.dropped,
                    handed_over: self.handed_over,
                    lanes: self.sockets.lanes.as_ref().map_or((0, 0), |lanes| (lanes.len(), lanes.refused)),
                    samples_lost: self.tapping.samples_lost,
                    recorded_lost: self.tapping.recorded_lost,
                    relay_lost: self.relay_lost,
                };
                let _ = reply.send(stats);
            }
        }
    }

    /// After a panic: the call whose step it was is ended, and the others go on. When nobody knows whose it was, or too many break,
    /// better all of the shard's calls begin anew than that one of them holds the others for good.
    fn recover(&mut self) {
        let culprit = self.core.culprit().map(|call| CallId::from(call.0));
        match self.watch.broke(Instant::now(), culprit) {
            Remedy::End(call) => {
                tracing::error!(%call, "the media core panicked in a step for one call, which is ended");
                self.end_call(call);
            }
            Remedy::BeginAnew => self.begin_anew(),
        }
    }

    fn end_call(&mut self, call: CallId) {
        let core = &mut self.core;
        let ended = catch_unwind(AssertUnwindSafe(|| core.break_off(parlor_media::CallId(call.as_u128()))));
        if ended.is_err() {
            self.begin_anew();
            return;
        }
        let members = self.members.extract_if(|_, (of, _)| *of == call).collect::<Vec<_>>();
        for (participant, (call, connection)) in members {
            self.spread.forget(call, participant, usize::from(self.config.number));
            self.tell(CallEvent::Broke { call, participant, connection });
        }
    }

    /// After a panic in the core: nobody knows what state it is in. Its participants are told and may offer again.
    fn begin_anew(&mut self) {
        tracing::error!(
            participants = self.members.len(),
            "the media core panicked; the calls of its shard begin anew"
        );
        match new_core(&self.config, &self.certificate) {
            Ok(core) => {
                self.core = core;
                self.tapping.begin_anew(&mut self.core);
            }
            Err(error) => {
                tracing::error!(%error, "the shard cannot begin anew and ends");
                self.stopped = true;
            }
        }
        for (participant, (call, connection)) in std::mem::take(&mut self.members) {
            self.spread.forget(call, participant, usize::from(self.config.number));
            self.tell(CallEvent::Broke { call, participant, connection });
        }
    }
}

fn new_core(config: &parlor_media::Config, certificate: &Certificate) -> io::Result<parlor_media::Shard> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(parlor_media::Shard::new(config.clone(), certificate.clone(), Instant::now(), seed))
}

fn media_id(participant: ParticipantId) -> parlor_media::ParticipantId {
    parlor_media::ParticipantId(participant.as_u128())
}

fn media_track(track: TrackId) -> parlor_media::TrackId {
    parlor_media::TrackId(track.as_u128())
}
