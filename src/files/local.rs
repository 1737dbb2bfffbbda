//! Files in a folder of this machine.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::{Error, Stream};

/// What is read at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Makes the folder, for this user alone, and everything in it that is written outlasts a power failure.
pub(super) fn open(folder: &Path) -> Result<LocalFileSystem, Error> {
    let unusable =
        |why: &dyn std::fmt::Display| Error::Failed(format!("the folder {} cannot be used: {why}", folder.display()));
    make_folder(folder).map_err(|error| unusable(&error))?;
    let opened = LocalFileSystem::new_with_prefix(folder).map_err(|error| unusable(&error))?;
    Ok(opened.with_fsync(true))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Moves a file so that it is at its new place whole or not at all.
pub(super) fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    fs::File::open(from)?.sync_all()?;
    match fs::rename(from, to) {
        // Another disk: a copy beside the place takes it.
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            let draft = to.with_extension("new");
            let copied = copy(from, &draft).and_then(|()| fs::rename(&draft, to));
            if copied.is_err() {
                fs::remove_file(&draft).ok();
            }
            copied?;
            fs::remove_file(from)?;
        }
        renamed => renamed?,
    }
    fs::File::open(folder)?.sync_all()
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = fs::File::open(from)?;
    let mut copy = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}

/// The bytes of a file, piece by piece.
pub(super) async fn read(path: &Path, range: Range<u64>) -> Result<Stream, Error> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(SeekFrom::Start(range.start)).await?;
    let part = file.take(range.end - range.start);
    Ok(ReaderStream::with_capacity(part, PIECE_BYTES).map_err(Error::from).boxed())
}
