//! What is too large for the database: recordings, evidence and what people send each other, in a folder of this machine or in an S3 bucket.
//!
//! A file is put once, whole or not at all, and never changes afterwards. Its place follows from its [`Key`], which is made of ids:
//! nothing that anybody wrote ever becomes part of a path.

mod config;
mod key;
mod local;
#[cfg(test)]
mod tests;

pub use self::config::{Config, Secret};
pub use key::Key;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::local::LocalFileSystem;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::domain::Refusal;

/// What is uploaded at once, in bytes, and held in memory meanwhile: the least that S3 takes as a part.
const PART_BYTES: u64 = 5 * 1024 * 1024;
/// Parts that S3 takes of one file.
const PARTS_LIMIT: u64 = 10_000;
/// Parts that are on their way at once: memory for one file is so many times the part's size.
const PARTS_AT_ONCE: usize = 2;
/// How long the check waits for an answer.
const CHECK_PATIENCE: Duration = Duration::from_secs(15);

/// Why a file cannot be kept or found; the text is for people who run the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such file.
    #[error("there is no such file")]
    Missing,
    /// The settings contradict each other, or cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The folder or the bucket does not do what it is told.
    #[error("{0}")]
    Failed(String),
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Missing => Refusal::NotFound,
            error => {
                tracing::error!(%error, "the files cannot be reached");
                Refusal::Unavailable { what: "The stored files" }
            }
        }
    }
}

/// What a file says, piece by piece.
pub type Stream = BoxStream<'static, Result<Bytes, Error>>;

/// The files. Clones share them.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    place: Place,
    /// In front of every name.
    prefix: object_store::path::Path,
}

enum Place {
    Folder(LocalFileSystem),
    Bucket(AmazonS3),
}

impl Files {
    /// The bucket of the settings, or that folder, which is made if it is not there.
    ///
    /// # Errors
    /// When a setting cannot be used, or the folder cannot be made. Whether the bucket answers is a matter of [`Files::check`].
    pub fn open(config: &Config, folder: &Path) -> Result<Self, Error> {
        let prefix = config.prefix()?;
        let place = match config.bucket()? {
            Some(bucket) => Place::Bucket(bucket),
            None => Place::Folder(local::open(folder)?),
        };
        Ok(Self(Arc::new(Inner { place, prefix })))
    }

    /// Whether files can be put, read and deleted now. Leaves nothing behind.
    ///
    /// # Errors
    /// What does not work.
    pub async fn check(&self) -> Result<(), Error> {
        const WORD: &[u8] = b"parlor";
        let trial = async {
            self.put(Key::Probe, Bytes::from_static(WORD)).await?;
            let read = self.bytes(Key::Probe).await?;
            self.delete(Key::Probe).await?;
            if read == WORD { Ok(()) } else { Err(Error::Failed("what was read is not what was written".to_owned())) }
        };
        let too_slow = || Error::Failed(format!("no answer within {} seconds", CHECK_PATIENCE.as_secs()));
        tokio::time::timeout(CHECK_PATIENCE, trial).await.unwrap_or_else(|_| Err(too_slow()))
    }

    /// Keeps these bytes under that key, whole or not at all.
    ///
    /// # Errors
    /// When they cannot be kept.
    pub async fn put(&self, key: Key, bytes: Bytes) -> Result<(), Error> {
        self.store().put(&self.name(key), PutPayload::from_bytes(bytes)).await?;
        Ok(())
    }

    /// Moves a finished file of this machine under that key: afterwards it is there, whole, and gone from where it was; or it is
    /// where it was.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub async fn put_file(&self, key: Key, file: &Path) -> Result<(), Error> {
        match &self.0.place {
            Place::Folder(folder) => {
                let (from, to) = (file.to_owned(), folder.path_to_filesystem(&self.name(key))?);
                let moved = tokio::task::spawn_blocking(move || local::move_file(&from, &to)).await;
                moved.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))?;
            }
            Place::Bucket(bucket) => {
                self.upload(bucket, key, file).await?;
                tokio::fs::remove_file(file).await?;
            }
        }
        Ok(())
    }

    async fn upload(&self, bucket: &AmazonS3, key: Key, file: &Path) -> Result<(), Error> {
        let mut source = File::open(file).await?;
        let size = source.metadata().await?.len();
        if size <= PART_BYTES {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            source.read_to_end(&mut bytes).await?;
            return self.put(key, bytes.into()).await;
        }
        let part = usize::try_from(PART_BYTES.max(size / (PARTS_LIMIT - 1) + 1)).unwrap_or(usize::MAX);
        let upload = bucket.put_multipart(&self.name(key)).await?;
        let mut writer = object_store::WriteMultipart::new_with_chunk_size(upload, part);
        loop {
            let step = async {
                writer.wait_for_capacity(PARTS_AT_ONCE).await?;
                Ok::<_, Error>(read_part(&mut source, part).await?)
            };
            match step.await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => writer.put(bytes),
                Err(error) => {
                    // The bucket's rules sweep what cannot even be aborted.
                    writer.abort().await.ok();
                    return Err(error);
                }
            }
        }
        writer.finish().await?;
        Ok(())
    }

    /// How many bytes a file has.
    ///
    /// # Errors
    /// `Missing`, and when it cannot be found out.
    pub async fn size(&self, key: Key) -> Result<u64, Error> {
        Ok(self.store().head(&self.name(key)).await?.size)
    }

    /// The bytes of a file from the range's start to before its end, piece by piece; the range lies within the file.
    ///
    /// # Errors
    /// `Missing`, and when it cannot be read. A failure in the middle is the stream's last item.
    pub async fn read_range(&self, key: Key, range: Range<u64>) -> Result<Stream, Error> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        match &self.0.place {
            Place::Folder(folder) => local::read(&folder.path_to_filesystem(&self.name(key))?, range).await,
            Place::Bucket(bucket) => {
                let options = GetOptions::new().with_range(Some(range));
                let got = bucket.get_opts(&self.name(key), options).await?;
                Ok(got.into_stream().map_err(Error::from).boxed())
            }
        }
    }

    /// All of a small file.
    ///
    /// # Errors
    /// `Missing`, and when it cannot be read.
    pub async fn bytes(&self, key: Key) -> Result<Bytes, Error> {
        Ok(self.store().get(&self.name(key)).await?.bytes().await?)
    }

    /// Deletes a file. One that is not there is deleted already.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub async fn delete(&self, key: Key) -> Result<(), Error> {
        match self.store().delete(&self.name(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Where other programs of this machine can read a file; `None`: it is elsewhere, see [`Files::fetch`].
    pub fn path(&self, key: Key) -> Option<PathBuf> {
        match &self.0.place {
            Place::Folder(folder) => folder.path_to_filesystem(&self.name(key)).ok(),
            Place::Bucket(_) => None,
        }
    }

    /// Copies a file to this machine.
    ///
    /// # Errors
    /// `Missing`, and when it cannot be read or written.
    pub async fn fetch(&self, key: Key, to: &Path) -> Result<(), Error> {
        let size = self.size(key).await?;
        let mut bytes = self.read_range(key, 0..size).await?;
        let mut file = File::create(to).await?;
        while let Some(piece) = bytes.try_next().await? {
            tokio::io::AsyncWriteExt::write_all(&mut file, &piece).await?;
        }
        tokio::io::AsyncWriteExt::flush(&mut file).await?;
        Ok(())
    }

    fn store(&self) -> &dyn ObjectStore {
        match &self.0.place {
            Place::Folder(folder) => folder,
            Place::Bucket(bucket) => bucket,
        }
    }

    fn name(&self, key: Key) -> object_store::path::Path {
        key.parts().into_iter().fold(self.0.prefix.clone(), |path, part| path.join(part))
    }
}

/// The next bytes of a file, as many as there are up to `part`.
async fn read_part(source: &mut File, part: usize) -> std::io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(part);
    source.take(part as u64).read_to_end(&mut bytes).await?;
    Ok(bytes.into())
}
