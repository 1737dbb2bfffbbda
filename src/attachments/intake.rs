//! Taking files in, piece by piece.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream::{BoxStream, StreamExt as _};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::turns::Turn;
use super::{Attachments, count, name, sniff};
use crate::domain::{
    Caller, FileId, Refusal, Time,
    attachment::{Attachment, AttachmentKind, AttachmentRecord, AttachmentState},
};
use crate::files::Key;
use crate::limit::Rule;
use crate::store::{NewUpload, Quota, Reserved};

/// What is brought to where files are kept at once, in bytes: what an interrupted upload loses at most when the server dies.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// Pieces that one upload has at most: whoever interrupts more often begins anew.
const MOST_PIECES: u32 = 1_000;
/// The longest media type that is remembered.
const MEDIA_TYPE_LIMIT: usize = 100;

/// The body broke off.
#[derive(Clone, Copy, Debug)]
pub struct Broken;

/// The bytes of a body, as they arrive.
pub type Arriving = BoxStream<'static, Result<Bytes, Broken>>;

/// What somebody wants to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The name they give it.
    pub name: String,
    /// What they say that it is.
    pub media_type: Option<String>,
    /// Its size; `None`: whatever comes, up to what that kind of file may have.
    pub size_bytes: Option<u64>,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The file.
    pub attachment: Attachment,
    /// What of it has arrived, in bytes.
    pub received_bytes: u64,
    /// When it goes, if it is not finished, or no message takes it.
    pub expires_at: Time,
}

impl From<AttachmentRecord> for Progress {
    fn from(record: AttachmentRecord) -> Self {
        Self { received_bytes: record.received_bytes, expires_at: record.expires_at, attachment: record.attachment }
    }
}

impl Attachments {
    /// Begins an upload.
    ///
    /// # Errors
    /// `feature_off`, `rate_limited`, `bad_request` (`size`), `too_large`, `quota_full`, `internal`.
    pub async fn create(&self, caller: &Caller, wanted: &Wanted) -> Result<Progress, Refusal> {
        let (store, config) = (&self.0.ground.store, &self.0.config);
        let declared = wanted.media_type.as_deref().map(|it| it.split(';').next().unwrap_or_default().trim());
        let declared =
            declared.filter(|it| is_media_type(it)).unwrap_or("application/octet-stream").to_ascii_lowercase();
        let kind = config.kind_of(&declared).unwrap_or(AttachmentKind::of(&declared));
        self.permit(caller, kind).await?;
        let limit_bytes = config.most_bytes(kind);
        let size_bytes = wanted.size_bytes.unwrap_or(limit_bytes);
        if size_bytes == 0 {
            return Err(Refusal::bad_request("size", "A file has at least one byte."));
        }
        if size_bytes > limit_bytes {
            return Err(Refusal::TooLarge { limit_bytes });
        }
        self.0.ground.limits.check(Rule::Upload, caller)?;
        let at = Time::now();
        let new = NewUpload {
            id: FileId::new(),
            by: caller.user.id,
            kind,
            name: name::cleaned(&wanted.name),
            media_type: declared,
            size_bytes,
            at,
            expires_at: at.after(Duration::from_secs(config.unused_ttl_s)),
        };
        let quota = Quota { bytes: config.user_quota_bytes, unfinished: config.unfinished_uploads.into() };
        match store.reserve_upload(&new, quota).await? {
            Reserved::Made => count(AttachmentState::Uploading),
            Reserved::TooMany => return Err(Refusal::QuotaFull { what: "unfinishedUploads", limit: quota.unfinished }),
            Reserved::Full => return Err(Refusal::QuotaFull { what: "bytes", limit: quota.bytes }),
        }
        let made = store.attachment(new.id).await?.ok_or(Refusal::NotFound)?;
        Ok(made.into())
    }

    /// How far one's upload is.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn progress(&self, caller: &Caller, id: FileId) -> Result<Progress, Refusal> {
        self.own(caller, id).await.map(Progress::from)
    }

    /// Takes what comes from there on; what came before the body broke off is kept. Whoever goes away meanwhile loses nothing: this
    /// goes on without them.
    ///
    /// # Errors
    /// `not_found`, `conflict` (the upload stands elsewhere, or is finished), `too_large` (more than was announced),
    /// `unsupported_media_type`, `feature_off`, `unavailable`, `internal`.
    pub async fn append(&self, caller: &Caller, id: FileId, offset: u64, body: Arriving) -> Result<Progress, Refusal> {
        let (attachments, caller) = (self.clone(), caller.clone());
        let taking = async move { attachments.take_in(&caller, id, Some(offset), body, false).await };
        tokio::spawn(taking).await.unwrap_or_else(|panic| Err(Refusal::Internal(panic.to_string())))
    }

    /// Takes all of a file whose size was not announced; a body that breaks off is no file.
    ///
    /// # Errors
    /// Those of [`Self::append`], and `bad_request` (`file`).
    pub async fn fill(&self, caller: &Caller, id: FileId, body: Arriving) -> Result<Progress, Refusal> {
        let (attachments, caller) = (self.clone(), caller.clone());
        let taking = async move {
            let taken = attachments.take_in(&caller, id, None, body, true).await;
            if taken.is_err() {
                // It may be doomed already, for the same reason.
                let _ = attachments.doom(&caller, id).await;
            }
            taken
        };
        tokio::spawn(taking).await.unwrap_or_else(|panic| Err(Refusal::Internal(panic.to_string())))
    }

    /// Gives an upload up, or a file that no message has taken.
    ///
    /// # Errors
    /// `not_found`, `conflict` (a message has taken it), `internal`.
    pub async fn give_up(&self, caller: &Caller, id: FileId) -> Result<(), Refusal> {
        self.own(caller, id).await?;
        // Whoever writes to it ends first.
        let _turn = self.0.turns.take(id).await?;
        self.doom(caller, id).await
    }

    async fn doom(&self, caller: &Caller, id: FileId) -> Result<(), Refusal> {
        if !self.0.ground.store.doom_attachment(id, caller.user.id).await? {
            return Err(Refusal::Taken("A message has this file."));
        }
        self.0.doomed.notify_one();
        Ok(())
    }

    async fn own(&self, caller: &Caller, id: FileId) -> Result<AttachmentRecord, Refusal> {
        let record = self.0.ground.store.attachment(id).await?.ok_or(Refusal::NotFound)?;
        let is_over = record.doomed || record.message.is_none() && record.expires_at <= Time::now();
        if is_over || record.uploader != Some(caller.user.id) {
            return Err(Refusal::NotFound);
        }
        Ok(record)
    }

    async fn take_in(
        &self,
        caller: &Caller,
        id: FileId,
        offset: Option<u64>,
        mut body: Arriving,
        is_all: bool,
    ) -> Result<Progress, Refusal> {
        self.own(caller, id).await?;
        let turn = self.0.turns.take(id).await?;
        let mut record = self.own(caller, id).await?;
        if record.attachment.state != AttachmentState::Uploading {
            return Err(Refusal::Taken("This upload is finished."));
        }
        if offset.is_some_and(|offset| offset != record.received_bytes) {
            return Err(Refusal::Taken("This upload stands elsewhere: ask with HEAD how far it is."));
        }
        let mut left = Bytes::new();
        loop {
            let room = record.attachment.size_bytes - record.received_bytes;
            let arrived = self.spool(&turn, &mut body, &mut left, room.min(PIECE_BYTES)).await?;
            if arrived.size_bytes > 0 {
                self.keep(&mut record, &arrived).await?;
                if record.received_bytes >= sniff::HEAD_BYTES as u64 && record.received_bytes - arrived.size_bytes == 0
                {
                    self.check_type(caller, &record).await?;
                }
            }
            match arrived.end {
                End::PieceFull if record.received_bytes < record.attachment.size_bytes => {}
                End::PieceFull if !left.is_empty() => return self.too_much(caller, id, &record).await,
                // All that was announced is there: nothing may follow.
                End::PieceFull => match next(&turn, &mut body, self.idle()).await {
                    Next::Bytes(_) => return self.too_much(caller, id, &record).await,
                    Next::Ended => break,
                    // Who announced a size has sent it all.
                    Next::Broke | Next::Silent if !is_all => break,
                    Next::Broke | Next::Silent => return Err(broke_off()),
                },
                End::Body => break,
                End::Broke if is_all => return Err(broke_off()),
                End::Broke => break,
            }
        }
        self.finish(caller, record, is_all).await
    }

    async fn too_much(&self, caller: &Caller, id: FileId, record: &AttachmentRecord) -> Result<Progress, Refusal> {
        self.doom(caller, id).await?;
        Err(Refusal::TooLarge { limit_bytes: record.attachment.size_bytes })
    }

    /// Ends an upload if all is there.
    async fn finish(&self, caller: &Caller, record: AttachmentRecord, is_all: bool) -> Result<Progress, Refusal> {
        let (id, received) = (record.attachment.file_id, record.received_bytes);
        if is_all && received == 0 {
            return Err(Refusal::bad_request("file", "A file has at least one byte."));
        }
        if !is_all && received < record.attachment.size_bytes {
            return Ok(record.into());
        }
        self.check_type(caller, &record).await?;
        if !self.0.ground.store.finish_upload(id, received, Time::now()).await? {
            return Err(Refusal::Taken("This upload was changed meanwhile: ask with HEAD how far it is."));
        }
        count(AttachmentState::Scanning);
        self.0.arrived.notify_one();
        Ok(self.own(caller, id).await?.into())
    }

    /// Looks at a file's beginning; what is not taken, or not from that person, is not kept until its end.
    async fn check_type(&self, caller: &Caller, record: &AttachmentRecord) -> Result<(), Refusal> {
        let id = record.attachment.file_id;
        let media_type = sniff::media_type(&self.head(id).await?);
        let checked = match self.0.config.kind_of(media_type) {
            None => Err(Refusal::TypeNotTaken { media_type }),
            Some(kind) => self.permit(caller, kind).await.and_then(|()| {
                let limit_bytes = self.0.config.most_bytes(kind);
                let is_too_large = record.received_bytes > limit_bytes;
                if is_too_large { Err(Refusal::TooLarge { limit_bytes }) } else { Ok(()) }
            }),
        };
        if checked.is_err() {
            self.doom(caller, id).await?;
        }
        checked
    }

    /// The first bytes of what has arrived.
    async fn head(&self, id: FileId) -> Result<Vec<u8>, Refusal> {
        let mut head = Vec::new();
        for (piece, _, size_bytes) in self.0.ground.store.pieces(id).await? {
            let Some(size_bytes) = size_bytes else { continue };
            let wanted = (sniff::HEAD_BYTES - head.len()) as u64;
            let mut bytes = self.0.ground.files.read_range(Key::Piece(id, piece), 0..size_bytes.min(wanted)).await?;
            while let Some(some) = bytes.try_next().await? {
                head.extend(some);
            }
            if head.len() >= sniff::HEAD_BYTES {
                break;
            }
        }
        Ok(head)
    }

    /// Writes what comes to a file of this machine, up to that size.
    async fn spool(&self, turn: &Turn, body: &mut Arriving, left: &mut Bytes, most: u64) -> Result<Spooled, Refusal> {
        let full = |error: std::io::Error| {
            tracing::error!(%error, "an upload cannot be written to the data folder");
            Refusal::Unavailable { what: "The stored files" }
        };
        let (piece, mut size_bytes) = (Uuid::now_v7(), 0);
        let path = super::work::Draft(self.0.folder.join(piece.to_string()));
        let mut file = None;
        let end = loop {
            if size_bytes == most {
                break End::PieceFull;
            }
            if left.is_empty() {
                match next(turn, body, self.idle()).await {
                    Next::Bytes(bytes) => *left = bytes,
                    Next::Ended => break End::Body,
                    Next::Broke | Next::Silent => break End::Broke,
                }
            }
            let fits = usize::try_from(most - size_bytes).unwrap_or(usize::MAX).min(left.len());
            let bytes = left.split_to(fits);
            let file = match &mut file {
                Some(file) => file,
                none => none.insert(File::create(&path.0).await.map_err(full)?),
            };
            file.write_all(&bytes).await.map_err(full)?;
            size_bytes += bytes.len() as u64;
        };
        if let Some(mut file) = file {
            file.flush().await.map_err(full)?;
        }
        Ok(Spooled { piece, path, size_bytes, end })
    }

    /// Brings a piece to where files are kept.
    async fn keep(&self, record: &mut AttachmentRecord, arrived: &Spooled) -> Result<(), Refusal> {
        let (store, files) = (&self.0.ground.store, &self.0.ground.files);
        let (id, offset) = (record.attachment.file_id, record.received_bytes);
        if !store.begin_piece(id, arrived.piece, offset, MOST_PIECES).await? {
            return Err(Refusal::Taken("This upload was interrupted too often: begin anew."));
        }
        let key = Key::Piece(id, arrived.piece);
        files.put_file(key, &arrived.path.0).await?;
        if !store.commit_piece(id, arrived.piece, offset, arrived.size_bytes, record.expires_at).await? {
            // Another node took what came here, too. What cannot be deleted now goes with the rest.
            if files.delete(key).await.is_ok() {
                store.forget_piece(arrived.piece).await?;
            }
            return Err(Refusal::Taken("This upload stands elsewhere: ask with HEAD how far it is."));
        }
        record.received_bytes += arrived.size_bytes;
        Ok(())
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.0.config.upload_idle_ms)
    }
}

/// A piece on this machine.
struct Spooled {
    piece: Uuid,
    path: super::work::Draft,
    size_bytes: u64,
    end: End,
}

/// Why a piece ends.
enum End {
    /// It has the size that it may have.
    PieceFull,
    /// The body is over.
    Body,
    /// The body broke off, was silent for too long, or somebody else writes now.
    Broke,
}

/// What comes next of a body.
enum Next {
    Bytes(Bytes),
    Ended,
    Broke,
    Silent,
}

async fn next(turn: &Turn, body: &mut Arriving, idle: Duration) -> Next {
    loop {
        let coming = tokio::time::timeout(idle, body.next());
        return match turn.over.run_until_cancelled(coming).await {
            None | Some(Err(_)) => Next::Silent,
            Some(Ok(None)) => Next::Ended,
            Some(Ok(Some(Err(Broken)))) => Next::Broke,
            Some(Ok(Some(Ok(bytes)))) if bytes.is_empty() => continue,
            Some(Ok(Some(Ok(bytes)))) => Next::Bytes(bytes),
        };
    }
}

fn broke_off() -> Refusal {
    Refusal::bad_request("file", "The body of this request broke off.")
}

fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.len() <= MEDIA_TYPE_LIMIT && text.split_once('/').is_some_and(|(kind, name)| is_token(kind) && is_token(name))
}
