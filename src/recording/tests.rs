use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::engine::{Event, Finished};
use super::*;
use crate::domain::recording::{Container, FileKind, FileState, Recording, RecordingState, RecordingStop};
use crate::domain::{Caller, FamilyId, RoomKind, SiteRole, Time, User, UserId, Visibility, user::Nickname};
use crate::limit::{self, Limits};
use crate::rooms::NewRoom;
use crate::{files, rooms, sfu, store};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct House {
    recordings: Recordings,
    caller: Caller,
    room: RoomId,
    _folder: TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("parlor.db").to_str().unwrap().to_owned();
        let (store, _) = Store::open(&store::Config { url, ..store::Config::default() }).await.unwrap();
        let bus = Bus::local();
        let shards = sfu::Config { shards: 1, ..sfu::Config::default() };
        let (sfu, _, taps) = Sfu::start(0, &[LOCALHOST], &shards).unwrap();
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        let limits = Limits::new(limit::Config { exempt, ..limit::Config::default() });
        let rooms = Rooms::new(rooms::Config::default(), store.clone(), bus.clone(), sfu.clone(), limits);
        let user = User { id: UserId::new(), nickname: "olga".to_owned(), role: SiteRole::Member, bot: false };
        store.create_user(user.id, &Nickname::parse("olga").unwrap(), user.role, Time::now()).await.unwrap();
        let caller = Caller {
            user,
            known_since: Time::now(),
            family: FamilyId::new(),
            address: LOCALHOST,
            cluster: Default::default(),
        };
        let (name, visibility) = ("Friday".to_owned(), Visibility::Public);
        let new = NewRoom { kind: RoomKind::Call, name, visibility, max_participants: None };
        let room = rooms.create(&caller, new).await.unwrap().id;
        let files = Files::open(&files::Config::default(), &folder.path().join("files")).unwrap();
        let ground = Ground { rooms, store, files, sfu, bus };
        let config = Config { min_free_mb: 0, ..Config::default() };
        let at = folder.path().join("recordings");
        let recordings = Recordings::start(config, &at, ground, taps.recorded, b"secret").unwrap();
        Self { recordings, caller, room, _folder: folder }
    }

    /// A recording that has been stopped, and of which one file is still being written.
    async fn stopped(&self) -> (RecordingId, FileId) {
        let recording = Recording {
            recording_id: RecordingId::new(),
            call_id: CallId::new(),
            room_id: self.room,
            room_name: "Friday".to_owned(),
            state: RecordingState::Starting,
            started_at: None,
            ended_at: None,
            started_by: self.caller.user.id,
            stop_reason: None,
            files: Vec::new(),
            composed: None,
        };
        let (id, file, store) = (recording.recording_id, FileId::new(), &self.recordings.0.ground.store);
        let live = Arc::new(Live::new(&recording));
        self.recordings.live().insert(id, live.clone());
        assert!(store.create_recording(&recording, Time::now()).await.unwrap());
        store.run_recording(id, Time::now()).await.unwrap();
        let path = self.recordings.local(id, file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"whole").unwrap();
        let (participant, kind, container) = (ParticipantId::new(), FileKind::Participant, Container::WebM);
        let opened = Event::Opened { recording: id, file, participant, kind, container, path, starts_at_ms: 0 };
        self.recordings.engine_told(opened).await;
        store.stop_recording(id, RecordingStop::ServerStopped, Time::now()).await.unwrap();
        assert!(!live.stop_is_done());
        (id, file)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_closed_in_time_is_not_taken_for_interrupted() {
    let house = House::new().await;
    let over = Arc::new(AtomicBool::new(false));
    // Whoever brings files away looks for work all the time, as at a stop.
    let (recordings, enough) = (house.recordings.clone(), over.clone());
    let keeper = tokio::spawn(async move {
        while !enough.load(Ordering::Relaxed) {
            recordings.keep_once().await;
        }
    });
    let mut all = Vec::new();
    for _ in 0..200 {
        let (recording, file) = house.stopped().await;
        let sha256 = "0".repeat(64);
        let outcome = Ok(Finished { container: Container::WebM, duration_ms: 1, size_bytes: 5, sha256 });
        house.recordings.engine_told(Event::Closed { recording, file, outcome }).await;
        house.recordings.engine_told(Event::Ended { recording }).await;
        all.push(recording);
    }
    over.store(true, Ordering::Relaxed);
    keeper.await.unwrap();
    house.recordings.settled().await;
    for id in all {
        let recording = house.recordings.0.ground.store.recording(id).await.unwrap().unwrap();
        assert_eq!(recording.state, RecordingState::Ready);
        assert!(!recording.files[0].interrupted && recording.files[0].state == FileState::Ready, "{recording:?}");
    }
}
