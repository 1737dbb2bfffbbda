//! The last steps of a file, and the same for one that a crash has left.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ring::digest::{Context, SHA256};

use super::webm::{ClusterFacts, Ending, HEAD_BYTES, Head, Index, Label};
use crate::domain::recording::Container;

/// A cluster longer than this is none of ours: half a second, or what one track may have waiting.
const MOST_CLUSTER: u64 = 64 * 1024 * 1024;
/// Bytes that are hashed at a time.
const CHUNK: usize = 256 * 1024;

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// WebM or Matroska.
    pub container: Container,
    /// How long it plays.
    pub duration_ms: i64,
    /// Its size.
    pub size_bytes: i64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// A file that was interrupted and is whole now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What it has become.
    pub finished: Finished,
    /// Whose it is.
    pub label: Label,
}

/// Why a file cannot be repaired; it is left as it was.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// There is nothing in it.
    #[error("nothing was recorded in it yet")]
    Empty,
    /// It does not begin like a file of ours.
    #[error("it does not begin like a recording")]
    Damaged,
    /// It cannot be read or written.
    #[error("it cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// Ends a file after its last cluster: cues, then the head, so that at each moment between it can be repaired. Without room for the
/// cues it goes without them.
///
/// # Errors
/// It cannot be written or read.
pub fn finish(file: &File, head: &Head, index: &Index) -> io::Result<Finished> {
    // What is torn makes room first: the disk may be full.
    file.set_len(index.end)?;
    let cues = index.encode_cues(head.segment_at()).unwrap_or_default();
    let written = file.write_all_at(&cues, index.end).is_ok();
    let (cues_at, end) = match cues.len() as u64 {
        0 => (None, index.end),
        length if written => (Some(index.end), index.end + length),
        _ => (None, index.end),
    };
    file.set_len(end)?;
    file.sync_data()?;
    file.write_all_at(&head.encode(Some(&Ending { duration_ms: index.ends_ms, cues_at, end })), 0)?;
    file.sync_all()?;
    Ok(Finished {
        container: head.container,
        duration_ms: i64::try_from(index.ends_ms).unwrap_or(i64::MAX),
        size_bytes: i64::try_from(end).unwrap_or(i64::MAX),
        sha256: hash(file, end)?,
    })
}

fn hash(file: &File, size: u64) -> io::Result<String> {
    let (mut context, mut chunk, mut at) = (Context::new(&SHA256), vec![0; CHUNK], 0);
    while at < size {
        let length = (size - at).min(CHUNK as u64) as usize;
        file.read_exact_at(&mut chunk[..length], at)?;
        context.update(&chunk[..length]);
        at += length as u64;
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Finishes a file that a crash has left: what stands behind its last whole cluster is cut off. A file that was finished comes out
/// the same. Blocks.
///
/// # Errors
/// See [`RepairError`].
pub fn repair(path: &Path) -> Result<Repaired, RepairError> {
    let file = File::options().read(true).write(true).open(path)?;
    let size = file.metadata()?.len();
    if size < HEAD_BYTES as u64 {
        return Err(RepairError::Empty);
    }
    let mut bytes = vec![0; HEAD_BYTES];
    file.read_exact_at(&mut bytes, 0)?;
    let head = Head::parse(&bytes).ok_or(RepairError::Damaged)?;
    let index = scan(&file, size)?;
    if index.is_empty() {
        return Err(RepairError::Empty);
    }
    Ok(Repaired { finished: finish(&file, &head, &index)?, label: head.label })
}

/// Reads a file's clusters up to the first that is not whole.
fn scan(file: &File, size: u64) -> io::Result<Index> {
    let (mut index, mut cluster) = (Index::default(), Vec::new());
    loop {
        let mut opening = [0; 12];
        let left = size - index.end;
        let there = left.min(opening.len() as u64) as usize;
        file.read_exact_at(&mut opening[..there], index.end)?;
        let Some((before, length)) = ClusterFacts::opening(&opening[..there]) else { return Ok(index) };
        let whole = length <= MOST_CLUSTER && before as u64 + length <= left;
        if !whole {
            return Ok(index);
        }
        cluster.resize(length as usize, 0);
        file.read_exact_at(&mut cluster, index.end + before as u64)?;
        let Some(facts) = ClusterFacts::parse(&cluster) else { return Ok(index) };
        index.append(&facts, before as u64 + length);
    }
}
