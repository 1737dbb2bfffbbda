//! Recordings in the store, the same tests on both databases.

use parlor::domain::recording::{
    ComposedState, Container, FileKind, FileState, RecordedFile, Recording, RecordingState, RecordingStop,
};
use parlor::domain::{
    Action, CallId, FileId, RecordingId, Role, RoomId, SiteRole, Standing, Time, UserId, Visibility, can,
};
use parlor::store::{Sight, Store};

use crate::store::{Database, house, on_both_databases, person, room};

on_both_databases!(a_call_is_recorded_once_at_a_time, a_recording_goes_its_way, recordings_are_seen_by_those_who_may);

fn starting(room: RoomId, call: CallId, by: UserId) -> Recording {
    Recording {
        recording_id: RecordingId::new(),
        call_id: call,
        room_id: room,
        room_name: "Friday".to_owned(),
        state: RecordingState::Starting,
        started_at: None,
        ended_at: None,
        started_by: by,
        stop_reason: None,
        files: Vec::new(),
        composed: None,
    }
}

fn file_of(user: Option<UserId>) -> RecordedFile {
    RecordedFile {
        file_id: FileId::new(),
        kind: FileKind::Participant,
        user_id: user,
        nickname: user.map(|_| "ada".to_owned()),
        state: FileState::Recording,
        interrupted: false,
        container: Container::WebM,
        starts_at_ms: 40,
        duration_ms: None,
        size_bytes: None,
        sha256: None,
    }
}

async fn keep(store: &Store, new: &Recording) {
    assert!(store.create_recording(new, Time::now()).await.unwrap());
}

async fn a_call_is_recorded_once_at_a_time(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let call = CallId::new();
    let first = starting(room, call, ada.id);
    keep(&store, &first).await;
    assert!(!store.create_recording(&starting(room, call, ada.id), Time::now()).await.unwrap());
    keep(&store, &starting(room, CallId::new(), ada.id)).await;
    // However many ask at once.
    store.end_recording(first.recording_id, RecordingState::Ready, Time::from_ms(9_000)).await.unwrap();
    let asked = (0..8).map(|_| {
        let (store, new) = (store.clone(), starting(room, call, ada.id));
        tokio::spawn(async move { store.create_recording(&new, Time::now()).await.unwrap() })
    });
    let mut made = 0;
    for asked in asked.collect::<Vec<_>>() {
        made += usize::from(asked.await.unwrap());
    }
    assert_eq!(made, 1);
    assert_eq!(store.recordings_of_call(call, 10).await.unwrap().len(), 2);
}

async fn a_recording_goes_its_way(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let new = starting(room, CallId::new(), ada.id);
    let id = new.recording_id;
    keep(&store, &new).await;
    assert_eq!(store.recording(id).await.unwrap(), Some(new.clone()));
    store.run_recording(id, Time::from_ms(1_000)).await.unwrap();
    let file = file_of(Some(ada.id));
    store.keep_recorded_file(id, &file).await.unwrap();
    let whole = RecordedFile {
        state: FileState::Ready,
        interrupted: true,
        container: Container::Matroska,
        duration_ms: Some(5),
        size_bytes: Some(6),
        sha256: Some("ab".to_owned()),
        ..file.clone()
    };
    store.keep_recorded_file(id, &whole).await.unwrap();
    store.stop_recording(id, RecordingStop::DiskFull, Time::from_ms(2_000)).await.unwrap();
    store.stop_recording(id, RecordingStop::Stopped, Time::from_ms(3_000)).await.unwrap();
    let unfinished = store.unfinished_recordings().await.unwrap();
    let wanted = Recording {
        state: RecordingState::Finishing,
        started_at: Some(Time::from_ms(1_000)),
        ended_at: Some(Time::from_ms(2_000)),
        stop_reason: Some(RecordingStop::DiskFull),
        files: vec![whole],
        ..new
    };
    assert_eq!(unfinished, [wanted]);
    store.end_recording(id, RecordingState::Ready, Time::from_ms(9_000)).await.unwrap();
    assert_eq!(store.unfinished_recordings().await.unwrap(), []);

    store.keep_composed(id, ComposedState::Running, None, ada.id).await.unwrap();
    store.fail_composing("It stopped.").await.unwrap();
    let composed = store.recording(id).await.unwrap().unwrap().composed.unwrap();
    assert_eq!((composed.state, composed.error.as_deref()), (ComposedState::Failed, Some("It stopped.")));
    store.keep_composed(id, ComposedState::Done, None, ada.id).await.unwrap();
    store.fail_composing("It stopped.").await.unwrap();
    let composed = store.recording(id).await.unwrap().unwrap().composed.unwrap();
    assert_eq!((composed.state, composed.progress, composed.error), (ComposedState::Done, 1.0, None));

    store.forget_recorded_file(file.file_id).await.unwrap();
    assert_eq!(store.recording(id).await.unwrap().unwrap().files, []);
    store.keep_recorded_file(id, &file).await.unwrap();
    store.forget_recording(id).await.unwrap();
    assert_eq!(store.recording(id).await.unwrap(), None);
    assert!(store.keep_recorded_file(id, &file).await.is_err(), "no file without its recording");
}

async fn recordings_are_seen_by_those_who_may(database: Database) {
    let (store, _events, ada, here) = house(&database).await;
    let bob = person(&store, "bob").await;
    let there = room(&store, &bob, Visibility::Private).await;
    let (mine, theirs) = (starting(here, CallId::new(), ada.id), starting(there, CallId::new(), bob.id));
    let with_me = starting(there, CallId::new(), bob.id);
    for new in [&mine, &theirs, &with_me] {
        keep(&store, new).await;
        store.keep_recorded_file(new.recording_id, &file_of(Some(bob.id))).await.unwrap();
    }
    store.keep_recorded_file(with_me.recording_id, &file_of(Some(ada.id))).await.unwrap();
    store.keep_recorded_file(with_me.recording_id, &file_of(None)).await.unwrap();
    let seen = async |user: UserId, sight, before, limit| {
        let found = store.recordings_seen_by(user, sight, before, limit).await.unwrap();
        found.into_iter().map(|it| (it.recording_id, it.files.len())).collect::<Vec<_>>()
    };
    let [mine, theirs, with_me] = [mine, theirs, with_me].map(|it| it.recording_id);
    assert_eq!(seen(ada.id, Sight::OwnRooms, None, 10).await, [(with_me, 3), (mine, 1)]);
    assert_eq!(seen(ada.id, Sight::OwnRooms, Some(with_me), 10).await, [(mine, 1)]);
    assert_eq!(seen(ada.id, Sight::OwnRooms, None, 1).await, [(with_me, 3)]);
    let everything = [(with_me, 3), (theirs, 1), (mine, 1)];
    assert_eq!(seen(ada.id, Sight::Everything, None, 10).await, everything);
    assert_eq!(seen(bob.id, Sight::OwnRooms, None, 10).await, everything);
    // The query's idea of who keeps order in a room is that of the permission table.
    for role in [Role::Owner, Role::Admin, Role::Moderator, Role::Trusted, Role::Member] {
        let cleo = person(&store, "cleo").await;
        store.add_member(here, cleo.id, role, Time::now()).await.unwrap();
        let may = can(Standing::of(Some(role), SiteRole::Member), Action::Record);
        assert_eq!(seen(cleo.id, Sight::OwnRooms, None, 10).await.len(), usize::from(may), "{role:?}");
    }
}
