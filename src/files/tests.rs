use futures_util::TryStreamExt as _;
use uuid::Uuid;

use super::*;
use crate::domain::{FileId, RecordingId};

fn files() -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(&Config::default(), &folder.path().join("files")).unwrap();
    (folder, files)
}

async fn read(files: &Files, key: Key, range: Range<u64>) -> Vec<u8> {
    let pieces: Vec<Bytes> = files.read_range(key, range).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn what_is_put_is_read_whole_and_in_part() {
    let (folder, files) = files();
    let key = Key::Evidence(Uuid::now_v7());
    files.put(key, Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(files.size(key).await.unwrap(), 10);
    assert_eq!(files.bytes(key).await.unwrap(), "0123456789");
    assert_eq!(read(&files, key, 3..7).await, b"3456");
    assert_eq!(read(&files, key, 10..10).await, b"");
    files.fetch(key, &folder.path().join("copy")).await.unwrap();
    assert_eq!(std::fs::read(folder.path().join("copy")).unwrap(), b"0123456789");
    files.delete(key).await.unwrap();
    files.delete(key).await.unwrap();
    assert!(matches!(files.size(key).await, Err(Error::Missing)));
    assert!(matches!(files.bytes(key).await, Err(Error::Missing)));
    assert!(matches!(files.read_range(key, 0..1).await, Err(Error::Missing)));
}

#[tokio::test]
async fn a_file_moves_in_whole() {
    let (folder, files) = files();
    let (key, from) = (Key::Recording(RecordingId::new(), FileId::new()), folder.path().join("a.part"));
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    std::fs::write(&from, &content).unwrap();
    files.put_file(key, &from).await.unwrap();
    assert!(!from.exists());
    assert_eq!(read(&files, key, 0..800_000).await, content);
    assert_eq!(std::fs::read(files.path(key).unwrap()).unwrap(), content);
    assert!(matches!(files.put_file(key, &from).await, Err(Error::Missing)));
    assert_eq!(files.size(key).await.unwrap(), 800_000, "what was there stays");
}

#[tokio::test]
async fn the_check_leaves_nothing() {
    let (folder, files) = files();
    files.check().await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("files")).unwrap().count(), 0);
    std::fs::remove_dir(folder.path().join("files")).unwrap();
    std::fs::write(folder.path().join("files"), "a file where the folder was").unwrap();
    assert!(files.check().await.is_err());
}

/// Names are made of ids. An id is what a UUID can be, and nothing else can be asked for.
#[test]
fn no_key_climbs_out() {
    let (folder, files) = files();
    let root = folder.path().canonicalize().unwrap().join("files");
    for number in
        [0, 1, u128::MAX, u128::from_be_bytes(*b"../../etc/passwd"), u128::from_be_bytes(*b"%2e%2e%2f\0/..//~")]
    {
        let id = Uuid::from_u128(number);
        let (recording, file) = (RecordingId::from_uuid(id), FileId::from_uuid(id));
        for key in [
            Key::Evidence(id),
            Key::Recording(recording, file),
            Key::Speakers(recording),
            Key::Attachment(file),
            Key::Thumbnail(file),
            Key::Piece(file, id),
            Key::Probe,
        ] {
            let path = files.path(key).unwrap();
            let inside = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '/');
            assert!(inside.chars().all(is_plain), "{inside}");
        }
    }
    assert!("../../etc/passwd".parse::<FileId>().is_err());
}

#[test]
fn settings_that_cannot_be_meant_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = |config: Config| Files::open(&config, folder.path()).err().unwrap().to_string();
    let bucket = Config { bucket: Some("parlor".into()), ..Config::default() };
    assert!(error(Config { endpoint: Some("https://s3.example.org".into()), ..Config::default() }).contains("BUCKET"));
    assert!(error(bucket.clone()).contains("ACCESS_KEY"));
    let keyed = Config { access_key: Some("id".into()), secret_key: Some("hush".into()), ..bucket };
    assert!(error(Config { endpoint: Some("http://s3.example.org".into()), ..keyed.clone() }).contains("ALLOW_HTTP"));
    assert!(error(Config { prefix: "a/../../b".into(), ..keyed.clone() }).contains("PREFIX"));
    assert!(!format!("{keyed:?}").contains("hush"));
    Files::open(&keyed, folder.path()).unwrap();
}
