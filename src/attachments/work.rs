//! Looking at what has arrived: put together, scanned, recognised, freed of notes, made small; only then it can be seen.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use ring::digest::{Context, SHA256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use super::clamd::Verdict;
use super::{Attachments, count, film, name, picture, sniff};
use crate::domain::{
    FileId, Time,
    attachment::{AttachmentFault, AttachmentKind, AttachmentRecord, AttachmentState},
};
use crate::files::{self, Key};
use crate::store::{self, Seen};

/// How long a claim lasts; it is renewed three times as often. After a crash a file waits so long for another node.
const CLAIM: Duration = Duration::from_secs(60);
/// How long a free worker waits for a file that another node has taken in.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The first pause after a try that failed; each further one is twice as long, up to the setting.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

/// Why a file cannot be looked at now.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the files cannot be reached: {0}")]
    Files(#[from] files::Error),
    #[error("the scanner cannot be asked: {0}")]
    Scanner(std::io::Error),
    #[error("the folder of uploads: {0}")]
    Folder(#[from] std::io::Error),
    #[error(transparent)]
    Film(#[from] film::NotRun),
}

/// What came of a look.
enum Outcome {
    Clean(Box<Kept>),
    Infected(String),
    Failed(AttachmentFault),
}

/// A file as it will be kept.
struct Kept {
    path: Draft,
    seen: Seen,
    thumbnail: Option<Vec<u8>>,
}

/// A file of this machine that goes when nobody needs it any more.
pub(super) struct Draft(pub(super) PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // It has been moved, or there is nothing to delete.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Attachments {
    /// Looks at what is due, whenever something arrives and every now and then.
    pub(super) async fn work(self) {
        let every = LOOK_EVERY.min(self.retry());
        loop {
            let (now, store) = (Time::now(), &self.0.ground.store);
            let claim = self.begin_claim();
            let claimed = store.claim_scan(claim, now, now.after(CLAIM)).await;
            if let Ok(Some(record)) = &claimed {
                // There may be more than one worker's share.
                self.0.arrived.notify_one();
                self.settle(claim, record).await;
            }
            self.end_claim(claim);
            match claimed {
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "files that wait cannot be looked for"),
            }
            tokio::select! {
                () = self.0.arrived.notified() => {}
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    /// Each claim has an id of its own: whoever lost a file, even to another worker of the same process, has no say in it any more.
    fn begin_claim(&self) -> Uuid {
        let claim = Uuid::now_v7();
        self.0.claims.lock().unwrap_or_else(PoisonError::into_inner).insert(claim);
        claim
    }

    fn end_claim(&self, claim: Uuid) {
        self.0.claims.lock().unwrap_or_else(PoisonError::into_inner).remove(&claim);
    }

    async fn settle(&self, claim: Uuid, record: &AttachmentRecord) {
        let id = record.attachment.file_id;
        // It is renewed until all is said: bringing a file away may take longer than a claim lasts.
        let mut losing = pin!(self.lose_claim(id, claim));
        let looked = tokio::select! {
            looked = self.look_at(claim, record) => looked,
            () = &mut losing => return,
        };
        let mut settling = pin!(self.conclude(claim, id, looked));
        tokio::select! {
            () = &mut settling => {}
            // What is on its way is not called back: at its end it turns out whose the file is.
            () = losing => settling.await,
        }
    }

    async fn conclude(&self, claim: Uuid, id: FileId, looked: Result<Outcome, NotYet>) {
        let settled = match looked {
            Ok(Outcome::Clean(kept)) => self.pass(claim, id, *kept).await,
            Ok(Outcome::Infected(found)) => {
                tracing::warn!(file = %id, found, "a scanner found something in a file; it is deleted");
                self.fail(claim, id, AttachmentState::Infected, None).await
            }
            Ok(Outcome::Failed(fault)) => self.fail(claim, id, AttachmentState::Failed, Some(fault)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = settled {
            tracing::warn!(file = %id, %error, "a file waits to be looked at");
            self.postpone(claim, id).await;
        }
    }

    /// Renews a claim until it is lost.
    async fn lose_claim(&self, id: FileId, claim: Uuid) {
        loop {
            tokio::time::sleep(CLAIM / 3).await;
            if matches!(self.0.ground.store.keep_scan(id, claim, Time::now().after(CLAIM)).await, Ok(false)) {
                return;
            }
        }
    }

    async fn postpone(&self, claim: Uuid, id: FileId) {
        let store = &self.0.ground.store;
        let tries = match store.attachment_tries(id).await {
            Ok(tries) => tries,
            Err(error) => return tracing::error!(%error, "a file stays claimed for a minute"),
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(self.retry());
        if let Err(error) = store.postpone_scan(id, claim, Time::now().after(pause)).await {
            tracing::error!(%error, "a file stays claimed for a minute");
        }
    }

    async fn pass(&self, claim: Uuid, id: FileId, kept: Kept) -> Result<(), NotYet> {
        let (store, files) = (&self.0.ground.store, &self.0.ground.files);
        if !store.keep_scan(id, claim, Time::now().after(CLAIM)).await? {
            return Ok(());
        }
        if let Some(thumbnail) = kept.thumbnail {
            files.put(Key::Thumbnail(id), Bytes::from(thumbnail)).await?;
        }
        files.put_file(Key::Attachment(id), &kept.path.0).await?;
        let name = name::ended(
            &store.attachment(id).await?.map(|it| it.attachment.name).unwrap_or_default(),
            &kept.seen.media_type,
        );
        let Some(record) = store.pass_scan(id, claim, &name, &kept.seen).await? else {
            return self.withdraw(id).await;
        };
        count(AttachmentState::Clean);
        self.tell(&record);
        self.drop_pieces(id).await;
        Ok(())
    }

    /// A claim was lost while its file was put. Whoever has the file now puts, or has put, the same there; but if nobody wants it any
    /// more, whoever deleted it may have been here before it was put.
    async fn withdraw(&self, id: FileId) -> Result<(), NotYet> {
        let record = self.0.ground.store.attachment(id).await?;
        let is_wanted = record.is_some_and(|it| {
            !it.doomed && matches!(it.attachment.state, AttachmentState::Scanning | AttachmentState::Clean)
        });
        if is_wanted { Ok(()) } else { self.delete_kept(id).await }
    }

    async fn fail(
        &self,
        claim: Uuid,
        id: FileId,
        state: AttachmentState,
        fault: Option<AttachmentFault>,
    ) -> Result<(), NotYet> {
        let Some(record) = self.0.ground.store.fail_scan(id, claim, state, fault).await? else { return Ok(()) };
        count(state);
        self.tell(&record);
        // Another worker may have put it before it lost its claim.
        if let Err(error) = self.delete_kept(id).await {
            tracing::warn!(file = %id, %error, "what was found bad may be left until its row goes");
        }
        self.drop_pieces(id).await;
        Ok(())
    }

    async fn delete_kept(&self, id: FileId) -> Result<(), NotYet> {
        let files = &self.0.ground.files;
        files.delete(Key::Attachment(id)).await?;
        Ok(files.delete(Key::Thumbnail(id)).await?)
    }

    /// Deletes what a file was put together from. What cannot be deleted now is found again by the sweep.
    async fn drop_pieces(&self, id: FileId) {
        if let Err(error) = self.delete_pieces(id).await {
            tracing::warn!(file = %id, %error, "pieces of a file wait to be deleted");
        }
    }

    async fn look_at(&self, claim: Uuid, record: &AttachmentRecord) -> Result<Outcome, NotYet> {
        let original = self.assemble(claim, record).await?;
        // First of all: whatever else looks at it reads what a scanner calls harmless.
        if let Some(clamd) = &self.0.clamd {
            match clamd.scan(&original.0).await.map_err(NotYet::Scanner)? {
                Verdict::Clean => {}
                Verdict::Infected(found) => return Ok(Outcome::Infected(found)),
                Verdict::TooLarge => return Ok(Outcome::Failed(AttachmentFault::Unscannable)),
            }
        }
        let media_type = sniff::media_type(&head_of(&original.0).await?);
        let Some(kind) = self.0.config.kind_of(media_type) else {
            return Ok(Outcome::Failed(AttachmentFault::TypeNotAllowed));
        };
        if record.received_bytes > self.0.config.most_bytes(kind) {
            return Ok(Outcome::Failed(AttachmentFault::TooLarge));
        }
        match kind {
            AttachmentKind::Image => self.look_at_picture(media_type, original).await,
            AttachmentKind::Video | AttachmentKind::Audio => {
                self.look_at_film(claim, record, (kind, media_type), original).await
            }
            AttachmentKind::File => self.keep_as_is(kind, media_type, original, film::Filmed::default(), None).await,
        }
    }

    /// Puts the pieces together on this machine.
    async fn assemble(&self, claim: Uuid, record: &AttachmentRecord) -> Result<Draft, NotYet> {
        let id = record.attachment.file_id;
        let draft = self.draft(id, claim, "whole");
        let mut file = File::create(&draft.0).await?;
        let mut length = 0;
        for (piece, offset, size_bytes) in self.0.ground.store.pieces(id).await? {
            let Some(size_bytes) = size_bytes else { continue };
            if offset != length {
                return Err(std::io::Error::other("the pieces of an upload do not follow one another").into());
            }
            let mut bytes = self.0.ground.files.read_range(Key::Piece(id, piece), 0..size_bytes).await?;
            while let Some(some) = bytes.try_next().await? {
                file.write_all(&some).await?;
            }
            length += size_bytes;
        }
        file.flush().await?;
        if length == record.received_bytes {
            return Ok(draft);
        }
        Err(std::io::Error::other("pieces of an upload are missing").into())
    }

    async fn look_at_picture(&self, media_type: &'static str, original: Draft) -> Result<Outcome, NotYet> {
        let one_at_a_time = self.0.decoding.acquire().await;
        let (path, pixels) = (original.0.clone(), self.0.config.max_pixels);
        let looking = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(path)?;
            Ok::<_, std::io::Error>(picture::look(media_type, &bytes, pixels))
        });
        let looked = looking.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))?;
        drop(one_at_a_time);
        let pictured = match looked {
            Ok(pictured) => pictured,
            Err(fault) => return Ok(Outcome::Failed(fault)),
        };
        tokio::fs::write(&original.0, &pictured.bytes).await?;
        let filmed = film::Filmed { dimensions: Some(pictured.dimensions), ..film::Filmed::default() };
        self.keep_as_is(AttachmentKind::Image, media_type, original, filmed, Some(pictured.thumbnail)).await
    }

    async fn look_at_film(
        &self,
        claim: Uuid,
        record: &AttachmentRecord,
        (kind, media_type): (AttachmentKind, &'static str),
        original: Draft,
    ) -> Result<Outcome, NotYet> {
        let ffmpeg = &self.0.ffmpeg;
        // Decided once: what is there and cannot be started for a moment must not let files through as they are.
        if !*self.0.has_ffmpeg.get_or_try_init(|| film::is_there(ffmpeg)).await? {
            return self.keep_as_is(kind, media_type, original, film::Filmed::default(), None).await;
        }
        let filmed = match film::probe(ffmpeg, media_type, &original.0).await? {
            Ok(filmed) => filmed,
            Err(fault) => return Ok(Outcome::Failed(fault)),
        };
        let (kind, media_type) = match (kind, filmed.has_picture) {
            // Who may send sounds alone does not send films by another name.
            (AttachmentKind::Audio, true) => return Ok(Outcome::Failed(AttachmentFault::TypeNotAllowed)),
            (AttachmentKind::Video, false) => match (self.sound_of(media_type), media_type) {
                (Some(sound), _) => (AttachmentKind::Audio, sound),
                (None, _) => return Ok(Outcome::Failed(AttachmentFault::TypeNotAllowed)),
            },
            (kind, _) => (kind, media_type),
        };
        let thumbnail =
            if filmed.has_picture { film::thumbnail(ffmpeg, media_type, filmed, &original.0).await? } else { None };
        let copied = self.draft(record.attachment.file_id, claim, "copy");
        let most_bytes = self.0.config.most_bytes(kind);
        if let Err(fault) = film::copy(ffmpeg, media_type, filmed, (&original.0, &copied.0), most_bytes).await? {
            return Ok(Outcome::Failed(fault));
        }
        self.keep_as_is(kind, media_type, copied, filmed, thumbnail).await
    }

    /// What a film without a picture is, if sounds of that form are taken.
    fn sound_of(&self, media_type: &str) -> Option<&'static str> {
        let sound = match media_type {
            "video/mp4" | "video/quicktime" => "audio/mp4",
            "video/webm" => "audio/webm",
            _ => return None,
        };
        self.0.config.kind_of(sound).map(|_| sound)
    }

    async fn keep_as_is(
        &self,
        kind: AttachmentKind,
        media_type: &str,
        path: Draft,
        filmed: film::Filmed,
        thumbnail: Option<Vec<u8>>,
    ) -> Result<Outcome, NotYet> {
        let (size_bytes, sha256) = hash(&path.0).await?;
        let seen = Seen {
            kind,
            media_type: media_type.to_owned(),
            size_bytes,
            sha256,
            dimensions: filmed.dimensions,
            duration_ms: filmed.duration_ms,
            thumbnail: thumbnail.is_some(),
        };
        Ok(Outcome::Clean(Box::new(Kept { path, seen, thumbnail })))
    }

    fn draft(&self, id: FileId, claim: Uuid, what: &str) -> Draft {
        Draft(self.0.folder.join(format!("{id}.{claim}.{what}")))
    }
}

async fn head_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(sniff::HEAD_BYTES);
    File::open(path).await?.take(sniff::HEAD_BYTES as u64).read_to_end(&mut head).await?;
    Ok(head)
}

/// A file's size and its SHA-256 in hexadecimal.
async fn hash(path: &Path) -> std::io::Result<(u64, String)> {
    let (mut file, mut size_bytes, mut sum) = (File::open(path).await?, 0, Context::new(&SHA256));
    let mut bytes = vec![0; READ_BYTES];
    loop {
        let length = file.read(&mut bytes).await?;
        if length == 0 {
            break;
        }
        sum.update(&bytes[..length]);
        size_bytes += length as u64;
    }
    let hex = sum.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((size_bytes, hex))
}
