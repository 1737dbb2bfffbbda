//! A process that dies, at every moment of a file's life.

use std::fs;
use std::path::Path;

use super::*;
use crate::recording::engine::finish::{RepairError, repair};

/// A file as it stands after the last cluster, before anything finishes it.
fn unfinished() -> Vec<u8> {
    let (who, dice) = (ParticipantId::new(), &mut Dice::new(11));
    let (mut sent, _) = pictures(&Line::new(who, TrackSource::Camera), (0, 70_000), 57, 9, CALM, dice);
    let (more, _) = sounds(&Line::new(who, TrackSource::Microphone), 0, 200, CALM, dice);
    sent.extend(more);
    let files = record(sent);
    files.bytes[&files.order[0]].clone()
}

/// Where clusters end, the head first.
fn ends(file: &[u8]) -> Vec<usize> {
    let mut at = HEAD_BYTES;
    let mut ends = vec![at];
    while let Some(opening) = ebml::opening(&file[at..]).filter(|opening| opening.id == 0x1f43_b675) {
        at += opening.bytes + opening.size.unwrap() as usize;
        ends.push(at);
    }
    ends
}

fn write(folder: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join("file.part");
    fs::write(&path, bytes).unwrap();
    path
}

/// A folder in memory where there is one: thousands of files are synced.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn torn_at_any_byte_it_is_whole_again() {
    let (folder, file) = (folder(), unfinished());
    let ends = ends(&file);
    assert!(ends.len() > 8 && ends.last() == Some(&file.len()), "{ends:?}");
    let all = blocks(&file);
    // Inside the head all bytes are alike.
    for at in [0, 1, HEAD_BYTES / 2].into_iter().chain(HEAD_BYTES - 1..=file.len()) {
        let path = write(folder.path(), &file[..at]);
        let repaired = repair(&path);
        let whole = ends.iter().filter(|end| **end <= at).max();
        let Some(&end) = whole.filter(|end| **end > HEAD_BYTES) else {
            assert!(matches!(repaired, Err(RepairError::Empty)), "cut at {at}: {repaired:?}");
            assert_eq!(fs::read(&path).unwrap(), file[..at], "it is left as it was");
            continue;
        };
        let repaired = repaired.unwrap();
        let bytes = fs::read(&path).unwrap();
        let kept = blocks(&bytes);
        assert_eq!(kept, all[..kept.len()]);
        assert_eq!(bytes[HEAD_BYTES..end], file[HEAD_BYTES..end]);
        // A cluster is half a second: that is what is lost.
        let last_ms = |blocks: &[Block]| blocks.iter().map(|block| block.time_ms).max().unwrap();
        assert!((last_ms(&kept)..last_ms(&kept) + 40).contains(&repaired.finished.duration_ms));
        assert_eq!(repaired.finished.size_bytes, bytes.len() as i64);
        // Repaired again, or torn again while it was being finished, it comes out the same.
        assert_eq!(repair(&path).unwrap(), repaired);
        if at % 7 == 0 {
            let torn = at.max(HEAD_BYTES + 1) % (bytes.len() - end).max(1);
            let path = write(folder.path(), &bytes[..end + torn]);
            assert_eq!(repair(&path).unwrap(), repaired);
        }
    }
}

#[test]
fn a_repaired_file_is_the_one_that_finishing_would_have_made() {
    let (folder, file) = (folder(), unfinished());
    let path = write(folder.path(), &file);
    let repaired = repair(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let head = Head::parse(&bytes).unwrap();
    assert_eq!(repaired.label, head.label);
    assert_eq!(&head, &Head::parse(&file).unwrap());
    let (head_size, size) = {
        let ebml_head = ebml::opening(&bytes).unwrap();
        let at = ebml_head.bytes + ebml_head.size.unwrap() as usize;
        let segment = ebml::opening(&bytes[at..]).unwrap();
        (at + segment.bytes, segment.size.unwrap() as usize)
    };
    assert_eq!(head_size + size, bytes.len(), "the segment's size is that of the file");
    assert_eq!(head_size as u64, head.segment_at());
    // Every entry of the seek head and of the cues points at what it says.
    let segment = &bytes[head_size..];
    let seek_head = ebml::find(0x114d_9b74, segment).unwrap();
    let mut found = Vec::new();
    for (_, seek) in ebml::elements(seek_head).map(Option::unwrap) {
        let id = ebml::as_uint(ebml::find(0x53ab, seek).unwrap()).unwrap() as u32;
        let at = ebml::as_uint(ebml::find(0x53ac, seek).unwrap()).unwrap() as usize;
        assert_eq!(ebml::opening(&segment[at..]).unwrap().id, id);
        found.push(id);
    }
    assert_eq!(found, [0x1549_a966, 0x1654_ae6b, 0x1254_c367, 0x1c53_bb6b]);
    let cues = ebml::find(0x1c53_bb6b, segment).unwrap();
    let keys = blocks(&file).into_iter().filter(|block| block.track == VIDEO && block.key).map(|block| block.time_ms);
    let mut times = Vec::new();
    for (_, point) in ebml::elements(cues).map(Option::unwrap) {
        times.push(ebml::as_uint(ebml::find(0xb3, point).unwrap()).unwrap() as i64);
        let at = ebml::as_uint(ebml::find(0xf1, ebml::find(0xb7, point).unwrap()).unwrap()).unwrap() as usize;
        let cluster = ebml::find(0x1f43_b675, &segment[at..]).unwrap();
        let begins_ms = ebml::as_uint(ebml::find(0xe7, cluster).unwrap()).unwrap() as i64;
        assert_eq!(begins_ms, times[times.len() - 1], "a key frame begins a cluster");
    }
    assert_eq!(times, keys.collect::<Vec<_>>());
}

#[test]
fn what_is_none_of_ours_is_left_alone() {
    let folder = folder();
    let dice = &mut Dice::new(12);
    let file = unfinished();
    for round in 0..400 {
        let mut bytes = file.clone();
        match round % 4 {
            0 => bytes = (0..dice.below(20_000)).map(|_| dice.next() as u8).collect(),
            1 => bytes[..64].fill_with(|| dice.next() as u8),
            // A disk that lost a page, a bit that fell over.
            2 => {
                let at = dice.below(bytes.len() as u64 - 64) as usize;
                bytes[at..at + 64].fill(0);
            }
            _ => {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << dice.below(8);
            }
        }
        let path = write(folder.path(), &bytes);
        match repair(&path) {
            Ok(repaired) => assert_eq!(repair(&path).unwrap().finished, repaired.finished),
            Err(RepairError::Empty | RepairError::Damaged) => assert_eq!(fs::read(&path).unwrap(), bytes),
            Err(RepairError::Io(error)) => panic!("{error}"),
        }
    }
    assert!(matches!(repair(&folder.path().join("nowhere")), Err(RepairError::Io(_))));
}

#[test]
fn a_cluster_of_absurd_length_is_not_read() {
    let (folder, file) = (folder(), unfinished());
    let mut bytes = file[..ends(&file)[2]].to_vec();
    let whole = bytes.len();
    bytes.extend_from_slice(&[0x1f, 0x43, 0xb6, 0x75, 0x01, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe7, 0x81, 0]);
    let path = write(folder.path(), &bytes);
    // As long as it claims, and sparse.
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 32).unwrap();
    let repaired = repair(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap()[HEAD_BYTES..whole], file[HEAD_BYTES..whole]);
    assert!(repaired.finished.size_bytes < file.len() as i64);
}
