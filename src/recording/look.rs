//! Who sees recordings, and what they may do with them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Recordings, lock};
use crate::domain::{
    Action, CallId, Caller, FileId, RecordingId, Refusal, Role, SiteRole, Standing, User, UserId, Visibility, can,
    deed::{Deed, LogEntry},
    recording::{FileKind, FileState, RecordedFile, Recording, RecordingState},
};
use crate::files::{self, Key};
use crate::store::{Membership, Sight};

/// Why nothing can be deleted just now.
const MOVING: &str = "The files of this recording are being moved. Try again in a moment.";
/// How long one look at a file lasts, as the log sees it.
const ONE_LOOK: Duration = Duration::from_secs(600);
/// Looks that are remembered before old ones are swept out.
const LOOKS_LIMIT: usize = 1_000;
/// Recordings that one page has at most.
pub const LIST_LIMIT: u32 = 100;

/// A recording as somebody sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The recording.
    pub recording: Recording,
    /// By what right.
    pub right: Right,
}

/// By what right somebody deals with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// They are in it: they may look.
    Recorded,
    /// They keep order in the room: they may do everything.
    Host,
    /// They keep order on the site: they may do everything, and what they do is written down.
    Site,
}

impl Right {
    /// The right to record that these roles give, if they do.
    pub(super) fn to_record(role: Option<Role>, site: SiteRole) -> Option<Self> {
        let may = |room, site| can(Standing::of(room, site), Action::Record);
        if may(role, SiteRole::Member) { Some(Self::Host) } else { may(None, site).then_some(Self::Site) }
    }

    /// Whether they may delete it and have one file made of all.
    pub fn may_manage(self) -> bool {
        self != Self::Recorded
    }
}

/// A file that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is known of it.
    pub file: RecordedFile,
    /// Where it is.
    pub key: Key,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// A name for it: letters, digits, `-`, `_` and one dot.
    pub name: String,
}

impl Recordings {
    /// A call's recordings that somebody may see, newest first.
    ///
    /// # Errors
    /// `not_found` (no such call, or one in a private room of others), `internal`.
    pub async fn of_call(&self, caller: &Caller, call: CallId) -> Result<Vec<Seen>, Refusal> {
        let room = self.0.ground.store.room_of_call(call).await?.ok_or(Refusal::NotFound)?.room;
        let all = self.0.ground.store.recordings_of_call(call, LIST_LIMIT).await?;
        let seen = self.visible(&caller.user, all).await?;
        if seen.is_empty() && room.visibility == Visibility::Private && caller.user.role < SiteRole::Moderator {
            let membership = self.0.ground.store.membership(room.id, caller.user.id).await?;
            if !matches!(membership, Membership::Member(_)) {
                return Err(Refusal::NotFound);
            }
        }
        Ok(seen)
    }

    /// All recordings that somebody may see, newest first; those before `before`, if it is given.
    ///
    /// # Errors
    /// `bad_request` (`limit`), `internal`.
    pub async fn list(&self, caller: &Caller, before: Option<RecordingId>, limit: u32) -> Result<Vec<Seen>, Refusal> {
        if !(1..=LIST_LIMIT).contains(&limit) {
            return Err(Refusal::bad_request("limit", format!("A page has 1 to {LIST_LIMIT} recordings.")));
        }
        let everywhere = can(Standing::of(None, caller.user.role), Action::Record);
        let sight = if everywhere { Sight::Everything } else { Sight::OwnRooms };
        let found = self.0.ground.store.recordings_seen_by(caller.user.id, sight, before, limit).await?;
        self.visible(&caller.user, found).await
    }

    /// One recording.
    ///
    /// # Errors
    /// `not_found` (no such recording, or not for them), `internal`.
    pub async fn show(&self, caller: &Caller, recording: RecordingId) -> Result<Seen, Refusal> {
        self.see(&caller.user, recording).await
    }

    /// A file that can be read.
    ///
    /// # Errors
    /// `not_found` (no such file, or not for them), `unavailable` (it is not ready), `internal`.
    pub async fn file(&self, caller: &Caller, recording: RecordingId, file: FileId) -> Result<Found, Refusal> {
        let Seen { recording, right } = self.see(&caller.user, recording).await?;
        let found = find(&recording, file)?;
        if right == Right::Site && self.0.looks.is_new(caller.user.id, file) {
            self.log(caller, Deed::ViewRecording, &recording).await?;
        }
        Ok(found)
    }

    /// What a file says in that range, piece by piece.
    ///
    /// # Errors
    /// `not_found` (it is gone), `unavailable`.
    pub async fn read(
        &self,
        found: &Found,
        range: Range<u64>,
    ) -> Result<impl futures_util::Stream<Item = Result<Bytes, files::Error>> + Send + 'static, Refusal> {
        Ok(self.0.ground.files.read_range(found.key, range).await?)
    }

    /// Deletes a recording with all its files.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` (it still runs), `unavailable`, `internal`.
    pub async fn delete(&self, caller: &Caller, id: RecordingId) -> Result<(), Refusal> {
        let (recordings, caller) = (self.clone(), caller.clone());
        // To its end even if whoever asked goes away.
        let deleted = tokio::spawn(async move { recordings.delete_now(&caller, id).await });
        deleted.await.unwrap_or_else(|panic| Err(Refusal::Internal(panic.to_string())))
    }

    async fn delete_now(&self, caller: &Caller, id: RecordingId) -> Result<(), Refusal> {
        self.manage(caller, id).await?;
        self.0.composer.cancel(id);
        let _alone = self.alone(id).ok_or(Refusal::Taken(MOVING))?;
        let (recording, right) = self.manage(caller, id).await?;
        if right == Right::Site {
            self.log(caller, Deed::DeleteRecording, &recording).await?;
        }
        for file in &recording.files {
            self.0.ground.files.delete(Key::Recording(id, file.file_id)).await?;
        }
        self.0.ground.files.delete(Key::Speakers(id)).await?;
        let folder = self.local_folder(id);
        let removed = super::keep::remove_folder(&folder).await;
        removed.map_err(|error| Refusal::Internal(format!("a recording's folder cannot be removed: {error}")))?;
        self.0.ground.store.forget_recording(id).await?;
        Ok(())
    }

    /// Deletes one file of a recording.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` (it is still being written), `unavailable`, `internal`.
    pub async fn delete_file(&self, caller: &Caller, id: RecordingId, file: FileId) -> Result<(), Refusal> {
        let _alone = self.alone(id).ok_or(Refusal::Taken(MOVING))?;
        let (recording, right) = self.manage(caller, id).await?;
        let found = recording.files.iter().find(|it| it.file_id == file).ok_or(Refusal::NotFound)?;
        if !matches!(found.state, FileState::Ready | FileState::Failed) {
            return Err(Refusal::Taken("This file is still being written."));
        }
        if right == Right::Site {
            self.log(caller, Deed::DeleteRecording, &recording).await?;
        }
        self.0.ground.files.delete(Key::Recording(id, file)).await?;
        self.0.ground.store.forget_recorded_file(file).await?;
        Ok(())
    }

    /// The recording, for whoever may delete it and for a time at which that is possible.
    pub(super) async fn manage(&self, caller: &Caller, id: RecordingId) -> Result<(Recording, Right), Refusal> {
        let Seen { recording, right } = self.see(&caller.user, id).await?;
        if !right.may_manage() {
            return Err(Refusal::Forbidden { action: Action::Record });
        }
        if self.live().contains_key(&id)
            || matches!(recording.state, RecordingState::Starting | RecordingState::Running)
        {
            return Err(Refusal::Taken("This recording is still being written."));
        }
        Ok((recording, right))
    }

    pub(super) async fn see(&self, user: &User, id: RecordingId) -> Result<Seen, Refusal> {
        let recording = self.0.ground.store.recording(id).await?.ok_or(Refusal::NotFound)?;
        self.visible(user, vec![recording]).await?.pop().ok_or(Refusal::NotFound)
    }

    /// Of these recordings those that somebody may see.
    async fn visible(&self, user: &User, all: Vec<Recording>) -> Result<Vec<Seen>, Refusal> {
        let mut seen = Vec::with_capacity(all.len());
        for mut recording in all {
            let role = match self.0.ground.store.membership(recording.room_id, user.id).await? {
                Membership::Member(role) => Some(role),
                Membership::None | Membership::Removed => None,
            };
            let is_recorded = recording.files.iter().any(|file| file.user_id == Some(user.id));
            if let Some(right) = Right::to_record(role, user.role).or(is_recorded.then_some(Right::Recorded)) {
                self.0.composer.refresh(&mut recording);
                seen.push(Seen { recording, right });
            }
        }
        Ok(seen)
    }

    /// Writes down what a moderator of the site does with other people's recordings.
    pub(super) async fn log(&self, caller: &Caller, deed: Deed, recording: &Recording) -> Result<(), Refusal> {
        let entry = LogEntry::by(caller.user.id, deed).in_room(Some(recording.room_id));
        self.0.ground.store.log(&entry.because(format!("recording {}", recording.recording_id))).await?;
        Ok(())
    }
}

/// Who of the site's moderators looked at which file lately: a player asks for a file in many parts, and that is one look.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<(UserId, FileId), Instant>>);

impl Looks {
    fn is_new(&self, user: UserId, file: FileId) -> bool {
        let mut looks = lock(&self.0);
        if looks.len() >= LOOKS_LIMIT {
            looks.retain(|_, at| at.elapsed() < ONE_LOOK);
        }
        let before = looks.insert((user, file), Instant::now());
        before.is_none_or(|at| at.elapsed() >= ONE_LOOK)
    }
}

/// A recording's file that can be read.
pub(super) fn find(recording: &Recording, id: FileId) -> Result<Found, Refusal> {
    let file = recording.files.iter().find(|file| file.file_id == id).ok_or(Refusal::NotFound)?.clone();
    let size = file.size_bytes.and_then(|size| u64::try_from(size).ok());
    let (FileState::Ready, Some(size_bytes), Some(sha256)) = (file.state, size, file.sha256.clone()) else {
        return Err(Refusal::Unavailable { what: "This file is not ready yet, and" });
    };
    let name = name_of(recording, &file);
    let key = Key::Recording(recording.recording_id, id);
    Ok(Found { file, key, size_bytes, sha256, name })
}

/// A name that says what it is, in characters that every system takes.
fn name_of(recording: &Recording, file: &RecordedFile) -> String {
    let plain = |text: &str| -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        text.chars().map(allowed).take(50).collect()
    };
    let day = recording.started_at.map(|at| at.to_string()).unwrap_or_default();
    let what = match file.kind {
        FileKind::Composed => "everybody".to_owned(),
        FileKind::Participant => file.nickname.clone().unwrap_or_default(),
        FileKind::Screen => format!("{}-screen", file.nickname.as_deref().unwrap_or_default()),
    };
    let day = day.get(..16).unwrap_or_default();
    format!("{}-{}-{}.{}", plain(&recording.room_name), plain(day), plain(&what), file.container.extension())
}
