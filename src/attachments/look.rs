//! Who may fetch what.

use std::ops::Range;

use super::Attachments;
use crate::domain::{
    Action, Caller, FileId, Refusal, Standing,
    attachment::{Attachment, AttachmentKind, AttachmentRecord, AttachmentState},
    can,
};
use crate::files::{Key, Stream};
use crate::store::Membership;

/// What of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The small picture.
    Thumbnail,
}

/// A file that somebody may fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub attachment: Attachment,
    /// What of it.
    pub part: Part,
    /// The size of that.
    pub size_bytes: u64,
}

impl Found {
    /// The media type.
    pub fn media_type(&self) -> &str {
        match self.part {
            Part::Whole => &self.attachment.media_type,
            Part::Thumbnail => "image/jpeg",
        }
    }

    /// What tells this version from any other.
    pub fn tag(&self) -> String {
        let hash = self.attachment.sha256.as_deref().unwrap_or_default();
        match self.part {
            Part::Whole => hash.to_owned(),
            Part::Thumbnail => format!("{hash}-thumbnail"),
        }
    }

    /// Whether a browser may show it: a picture, a film or a sound, and nothing that could be a page.
    pub fn is_shown(&self) -> bool {
        self.part == Part::Thumbnail || self.attachment.kind != AttachmentKind::File
    }
}

impl Attachments {
    /// A file that somebody may fetch: their own, or one of a message that they may read.
    ///
    /// # Errors
    /// `not_found`, `conflict` (one's own, which nobody has looked at yet), `unavailable`, `internal`.
    pub async fn file(&self, caller: &Caller, id: FileId, part: Part) -> Result<Found, Refusal> {
        let record = self.0.ground.store.attachment(id).await?.ok_or(Refusal::NotFound)?;
        if record.doomed || !self.may_fetch(caller, &record).await? {
            return Err(Refusal::NotFound);
        }
        match record.attachment.state {
            AttachmentState::Clean => {}
            AttachmentState::Uploading => return Err(Refusal::Taken("This file has not arrived yet.")),
            AttachmentState::Scanning => return Err(Refusal::Taken("This file was not looked at yet.")),
            AttachmentState::Infected | AttachmentState::Failed => return Err(Refusal::NotFound),
        }
        let attachment = record.attachment;
        let size_bytes = match part {
            Part::Whole => attachment.size_bytes,
            Part::Thumbnail if !attachment.thumbnail => return Err(Refusal::NotFound),
            Part::Thumbnail => self.0.ground.files.size(Key::Thumbnail(id)).await?,
        };
        Ok(Found { attachment, part, size_bytes })
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    pub async fn read(&self, found: &Found, range: Range<u64>) -> Result<Stream, Refusal> {
        let id = found.attachment.file_id;
        let key = match found.part {
            Part::Whole => Key::Attachment(id),
            Part::Thumbnail => Key::Thumbnail(id),
        };
        Ok(self.0.ground.files.read_range(key, range).await?)
    }

    async fn may_fetch(&self, caller: &Caller, record: &AttachmentRecord) -> Result<bool, Refusal> {
        let (store, user) = (&self.0.ground.store, caller.user.id);
        let is_own = record.uploader == Some(user);
        let (Some(room), Some(message)) = (record.room, record.message) else {
            // A message that is gone has taken its files with it.
            return Ok(is_own && record.room.is_none());
        };
        if !store.is_message_there(message).await? {
            return Ok(false);
        }
        if is_own {
            return Ok(true);
        }
        let role = match store.membership(room, user).await? {
            Membership::Member(role) => Some(role),
            Membership::Removed => return Ok(false),
            Membership::None => None,
        };
        Ok(can(Standing { room: role, ..caller.standing() }, Action::ReadHistory))
    }
}
