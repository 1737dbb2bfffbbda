//! The moderation over a real store, real rooms and a media side without packets. What looks is told what to see: by the frames.

mod desk;
mod watch;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;

use super::vision::{Coding, FrameError, LookError, ModelError, Seen};
use super::workers::{About, Look};
use super::*;
use crate::domain::case::{Case, CaseFilter};
use crate::domain::evidence::{Label, Model, Scores};
use crate::domain::matching::MatchMode;
use crate::domain::user::Nickname;
use crate::domain::{
    CallId, Caller, FamilyId, ParticipantId, RoomId, RoomKind, Session, SessionId, SiteRole, TrackId, TrackSource,
    User, UserId, Visibility,
    call::{OfferedSource, Track},
};
use crate::rooms::NewRoom;
use crate::sfu::{self, Codec};
use crate::{Core, CoreConfig, files, limit, store};

const OFFER: &str = include_str!("../../media/fixtures/offers/chromium-call.sdp");
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Drawing,
    Garbage,
    /// What the model answers with no probabilities.
    BadOutput,
    /// What the model's code does not survive.
    Panic,
}

/// What the eyes do, beside looking.
#[derive(Default)]
struct Switches {
    /// The model cannot be opened.
    missing: AtomicBool,
    /// Looking takes until this is off.
    slow: AtomicBool,
    made: AtomicUsize,
}

struct House {
    moderation: Moderation,
    core: Core,
    samples: mpsc::Sender<Sampled>,
    switches: Arc<Switches>,
    _sfu: Sfu,
    folder: TempDir,
}

/// Somebody who publishes.
struct Publisher {
    session: Arc<Session>,
    room: RoomId,
    call: CallId,
    participant: ParticipantId,
    camera: TrackId,
}

fn look(switches: &Switches, frame: &[u8]) -> Result<Seen, LookError> {
    while switches.slow.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    let scores = match frame[10] {
        0 => [0.1, 0.0, 0.9, 0.0, 0.0],
        1 => [0.9, 0.0, 0.1, 0.0, 0.0],
        2 => return Err(FrameError::NotKeyFrame.into()),
        3 => return Err(ModelError::BadOutput("NaN".to_owned()).into()),
        _ => panic!("the model's code does not survive this"),
    };
    Ok(Seen { width: 320, height: 180, scores: Scores::checked(scores).unwrap() })
}

fn eyes(switches: Arc<Switches>) -> MakeEye {
    Arc::new(move |_again| {
        switches.made.fetch_add(1, Ordering::SeqCst);
        if switches.missing.load(Ordering::SeqCst) {
            return Err(ModelError::Runtime("not there".to_owned()));
        }
        let model = Model { name: "a test's".to_owned(), sha256: "00".to_owned() };
        let (about, switches) = (About { model, thresholds: BTreeMap::new() }, switches.clone());
        Ok((Box::new(move |_coding: Coding, frame: &[u8]| look(&switches, frame)) as Look, about))
    })
}

/// A VP8 key frame of 320×180 as far as its header goes, which is as far as evidence looks.
fn frame(shown: Shown) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, shown as u8];
    // No two are the same.
    frame.extend_from_slice(TrackId::new().as_uuid().as_bytes());
    frame
}

impl House {
    async fn new() -> Self {
        Self::with(Policy::default(), Config::default(), Arc::default()).await
    }

    async fn with(policy: Policy, config: Config, switches: Arc<Switches>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("parlor.db").to_str().unwrap().to_owned();
        let shards = sfu::Config { shards: 1, ..sfu::Config::default() };
        let (sfu, calls, _taps) = Sfu::start(0, &[LOCALHOST], &shards).unwrap();
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        let core = CoreConfig {
            store: store::Config { url, ..store::Config::default() },
            auth: Default::default(),
            limit: limit::Config { exempt, ..limit::Config::default() },
            hub: Default::default(),
            rooms: Default::default(),
            matching: Default::default(),
            redis_url: None,
            nodes: Default::default(),
            address: String::new(),
            secret: vec![7; 32],
        };
        let core = Core::start(core, sfu.clone(), calls).await.unwrap();
        let ground = Ground {
            store: core.store.clone(),
            files: Files::open(&files::Config::default(), &folder.path().join("files")).unwrap(),
            rooms: core.rooms.clone(),
            auth: core.auth.clone(),
            matching: core.matching.clone(),
            sfu: sfu.clone(),
            limits: core.limits.clone(),
        };
        let labels = Some(BTreeMap::from([(Label::Drawing, 0.5)]));
        let policy = Policy { labels, ..policy };
        let config = Config { workers: 1, retry_ms: 20, ..config };
        let (samples, taken) = mpsc::channel(1024);
        let moderation = Moderation::start_with(&config, policy, ground, taken, &eyes(switches.clone())).unwrap();
        Self { moderation, core, samples, switches, _sfu: sfu, folder }
    }

    async fn caller(&self, name: &str, role: SiteRole) -> Caller {
        let user = User { id: UserId::new(), nickname: name.to_owned(), role, bot: false };
        let nickname = Nickname::parse(name).unwrap();
        self.core.store.create_user(user.id, &nickname, user.role, Time::now()).await.unwrap();
        Caller {
            user,
            known_since: Time::now(),
            family: FamilyId::new(),
            address: LOCALHOST,
            cluster: Default::default(),
        }
    }

    async fn moderator(&self, name: &str) -> Caller {
        self.caller(name, SiteRole::Moderator).await
    }

    /// Somebody who publishes in a room of their own.
    async fn publisher(&self, name: &str) -> Publisher {
        self.publisher_in(RoomKind::Call, name).await
    }

    async fn publisher_in(&self, kind: RoomKind, name: &str) -> Publisher {
        let caller = self.caller(name, SiteRole::Member).await;
        let (name, visibility) = ("Friday".to_owned(), Visibility::Public);
        let new = NewRoom { kind, name, visibility, max_participants: None };
        let room = self.core.rooms.create(&caller, new).await.unwrap().id;
        self.publish(caller, room).await
    }

    /// Two strangers who publish for each other.
    async fn strangers(&self) -> [Publisher; 2] {
        let (ada, ben) = (self.caller("ada", SiteRole::Member).await, self.caller("ben", SiteRole::Member).await);
        let both = [ada.user.id, ben.user.id];
        let (room, _) = self.core.rooms.create_match(MatchMode::Video, both).await.unwrap();
        [self.publish(ada, room).await, self.publish(ben, room).await]
    }

    async fn publish(&self, caller: Caller, room: RoomId) -> Publisher {
        let session = Arc::new(Session::new(SessionId::new(), 1, caller, Arc::default()));
        self.core.rooms.enter(session.clone(), room, None).await.unwrap();
        let seat = self.core.rooms.seat(&session, room).unwrap();
        let source = |(mid, source): (&str, TrackSource)| OfferedSource { mid: mid.to_owned(), source };
        let sources = [("0", TrackSource::Microphone), ("1", TrackSource::Camera)].map(source).to_vec();
        let offer = crate::rooms::Offer { sdp: OFFER.to_owned(), sources, accepts_recording: false };
        let answer = self.core.rooms.offer(&seat, offer, None).await.unwrap();
        let (call, participant) = (answer.call_id, answer.participant_id);
        Publisher { session, room, call, participant, camera: answer.tracks[1].track_id }
    }

    /// The media side samples a frame.
    async fn samples(&self, of: &Publisher, shown: Shown) -> Vec<u8> {
        let frame = frame(shown);
        let sampled = Sampled::Frame {
            call: of.call,
            participant: of.participant,
            track: of.camera,
            layer: 0,
            codec: Codec::Vp8,
            taken_at: Time::now(),
            frame: frame.clone(),
        };
        self.samples.send(sampled).await.unwrap();
        frame
    }

    async fn withheld(&self, of: &Publisher) {
        let (call, participant, track) = (of.call, of.participant, of.camera);
        self.samples.send(Sampled::Unsampled { call, participant, track }).await.unwrap();
    }

    /// The camera as everybody in the call sees it.
    fn camera(&self, of: &Publisher) -> Track {
        let participants = self.core.rooms.participants(of.call);
        let mut tracks = participants.into_iter().flat_map(|it| it.tracks);
        tracks.find(|track| track.track_id == of.camera).unwrap()
    }

    async fn cases(&self) -> Vec<Case> {
        self.core.store.cases(CaseFilter::Open, 100, None, Time::now()).await.unwrap().unwrap()
    }

    /// The one case that waits.
    async fn case(&self) -> Case {
        let found = until("a case waits", async || self.cases().await.pop()).await;
        assert_eq!(self.cases().await.len(), 1);
        found
    }

    async fn until_cleared(&self, of: &Publisher, cleared: bool) {
        until("the picture is shown or not", async || (self.camera(of).cleared == cleared).then_some(())).await;
    }

    async fn until_status(&self, what: impl Fn(&Status) -> bool) -> Status {
        until("it fares so", async || Some(self.moderation.status()).filter(&what)).await
    }
}

async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
