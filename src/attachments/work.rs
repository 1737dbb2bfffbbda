//! Looking at what has arrived: put together, scanned, recognised, freed of notes, made small; only then it can be seen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use ring::digest::{Context, SHA256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::clamd::Verdict;
use super::{Attachments, film, name, picture, sniff};
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
            match store.claim_scan(self.0.run, now, now.after(CLAIM)).await {
                Ok(Some(record)) => {
                    // There may be more than one worker's share.
                    self.0.arrived.notify_one();
                    self.settle(&record).await;
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "files that wait cannot be looked for"),
            }
            tokio::select! {
                () = self.0.arrived.notified() => {}
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    async fn settle(&self, record: &AttachmentRecord) {
        let id = record.attachment.file_id;
        let looked = tokio::select! {
            looked = self.look_at(record) => looked,
            () = self.lose_claim(id) => return,
        };
        let settled = match looked {
            Ok(Outcome::Clean(kept)) => self.pass(id, *kept).await,
            Ok(Outcome::Infected(found)) => {
                tracing::warn!(file = %id, found, "a scanner found something in a file; it is deleted");
                self.fail(id, AttachmentState::Infected, None).await
            }
            Ok(Outcome::Failed(fault)) => self.fail(id, AttachmentState::Failed, Some(fault)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = settled {
            tracing::warn!(file = %id, %error, "a file waits to be looked at");
            self.postpone(id).await;
        }
    }

    /// Renews a claim until it is lost.
    async fn lose_claim(&self, id: FileId) {
        loop {
            tokio::time::sleep(CLAIM / 3).await;
            if matches!(self.0.ground.store.keep_scan(id, self.0.run, Time::now().after(CLAIM)).await, Ok(false)) {
                return;
            }
        }
    }

    async fn postpone(&self, id: FileId) {
        let (store, run) = (&self.0.ground.store, self.0.run);
        let tries = match store.attachment_tries(id).await {
            Ok(tries) => tries,
            Err(error) => return tracing::error!(%error, "a file stays claimed for a minute"),
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(self.retry());
        if let Err(error) = store.postpone_scan(id, run, Time::now().after(pause)).await {
            tracing::error!(%error, "a file stays claimed for a minute");
        }
    }

    async fn pass(&self, id: FileId, kept: Kept) -> Result<(), NotYet> {
        let (store, files) = (&self.0.ground.store, &self.0.ground.files);
        if let Some(thumbnail) = kept.thumbnail {
            files.put(Key::Thumbnail(id), Bytes::from(thumbnail)).await?;
        }
        files.put_file(Key::Attachment(id), &kept.path.0).await?;
        let name = name::ended(
            &store.attachment(id).await?.map(|it| it.attachment.name).unwrap_or_default(),
            &kept.seen.media_type,
        );
        match store.pass_scan(id, self.0.run, &name, &kept.seen).await? {
            Some(record) => self.tell(&record),
            // It was given up meanwhile: whoever deletes it may have been here before it was put.
            None => {
                files.delete(Key::Attachment(id)).await?;
                files.delete(Key::Thumbnail(id)).await?;
            }
        }
        self.drop_pieces(id).await
    }

    async fn fail(&self, id: FileId, state: AttachmentState, fault: Option<AttachmentFault>) -> Result<(), NotYet> {
        if let Some(record) = self.0.ground.store.fail_scan(id, self.0.run, state, fault).await? {
            self.tell(&record);
        }
        self.drop_pieces(id).await
    }

    /// Deletes what a file was put together from. What cannot be deleted now is found again by the sweep.
    async fn drop_pieces(&self, id: FileId) -> Result<(), NotYet> {
        if let Err(error) = self.delete_pieces(id).await {
            tracing::warn!(file = %id, %error, "pieces of a file wait to be deleted");
        }
        Ok(())
    }

    async fn look_at(&self, record: &AttachmentRecord) -> Result<Outcome, NotYet> {
        let original = self.assemble(record).await?;
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
                self.look_at_film(record, kind, media_type, original).await
            }
            AttachmentKind::File => self.keep_as_is(kind, media_type, original, film::Filmed::default(), None).await,
        }
    }

    /// Puts the pieces together on this machine.
    async fn assemble(&self, record: &AttachmentRecord) -> Result<Draft, NotYet> {
        let id = record.attachment.file_id;
        let draft = self.draft(id, "whole");
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
        record: &AttachmentRecord,
        kind: AttachmentKind,
        media_type: &'static str,
        original: Draft,
    ) -> Result<Outcome, NotYet> {
        let ffmpeg = &self.0.ffmpeg;
        if !film::is_there(ffmpeg).await {
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
        let copied = self.draft(record.attachment.file_id, "copy");
        if !film::copy(ffmpeg, media_type, filmed, &original.0, &copied.0).await? {
            return Ok(Outcome::Failed(AttachmentFault::Unreadable));
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

    fn draft(&self, id: FileId, what: &str) -> Draft {
        Draft(self.0.folder.join(format!("{id}.{what}")))
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
