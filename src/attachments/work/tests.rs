use tempfile::TempDir;

use super::*;
use crate::attachments::Ground;
use crate::bus::Bus;
use crate::domain::{SiteRole, UserId, user::Nickname};
use crate::files::Files;
use crate::limit::{self, Limits};
use crate::store::{NewUpload, Quota, Reserved, Store};

struct House {
    attachments: Attachments,
    folder: TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("parlor.db").to_str().unwrap().to_owned();
        let (store, _) = Store::open(&store::Config { url, ..store::Config::default() }).await.unwrap();
        let config = files::Config::default();
        let ground = Ground {
            store,
            files: Files::open(&config, &folder.path().join("files")).unwrap(),
            bus: Bus::local(),
            limits: Limits::new(limit::Config::default()),
        };
        let work = folder.path().join("work");
        let attachments = Attachments::resting(&config, Path::new("/nowhere/ffmpeg"), &work, ground).unwrap();
        Self { attachments, folder }
    }

    /// A file that waits to be looked at.
    async fn waiting(&self) -> FileId {
        let store = &self.attachments.0.ground.store;
        let (by, at) = (UserId::new(), Time::now());
        store.create_user(by, &Nickname::parse("ada").unwrap(), SiteRole::Member, at).await.unwrap();
        let new = NewUpload {
            id: FileId::new(),
            by,
            kind: AttachmentKind::File,
            name: "a.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            size_bytes: 4,
            at,
            expires_at: at.after(CLAIM),
        };
        let quota = Quota { bytes: 100, unfinished: 10 };
        assert_eq!(store.reserve_upload(&new, quota).await.unwrap(), Reserved::Made);
        let piece = Uuid::now_v7();
        assert!(store.begin_piece(new.id, piece, 0, 10).await.unwrap());
        assert!(store.commit_piece(new.id, piece, 0, 4, new.expires_at).await.unwrap());
        assert!(store.finish_upload(new.id, 4, at).await.unwrap());
        new.id
    }

    async fn claim(&self, at: Time) -> Uuid {
        let claim = Uuid::now_v7();
        let claimed = self.attachments.0.ground.store.claim_scan(claim, at, at.after(CLAIM)).await.unwrap();
        assert!(claimed.is_some());
        claim
    }

    async fn found(&self, text: &str) -> Outcome {
        let path = self.folder.path().join(text);
        std::fs::write(&path, text).unwrap();
        let (kind, nothing) = (AttachmentKind::File, film::Filmed::default());
        self.attachments.keep_as_is(kind, "text/plain", Draft(path), nothing, None).await.unwrap()
    }

    async fn kept(&self, id: FileId) -> Option<Bytes> {
        self.attachments.0.ground.files.bytes(Key::Attachment(id)).await.ok()
    }
}

#[tokio::test]
async fn who_lost_a_file_changes_nothing_of_it() {
    let house = House::new().await;
    let (id, now) = (house.waiting().await, Time::now());
    let slow = house.claim(now).await;
    let quick = house.claim(now.after(CLAIM * 2)).await;
    let attachments = &house.attachments;
    let state = async || attachments.0.ground.store.attachment(id).await.unwrap().unwrap().attachment.state;
    // While another looks at it, what they need is not taken from them.
    attachments.conclude(slow, id, Ok(Outcome::Failed(AttachmentFault::Unreadable))).await;
    attachments.conclude(slow, id, Ok(house.found("slow").await)).await;
    assert_eq!((state().await, house.kept(id).await), (AttachmentState::Scanning, None));
    assert_eq!(attachments.0.ground.store.pieces(id).await.unwrap().len(), 1);
    attachments.conclude(quick, id, Ok(house.found("quick").await)).await;
    assert_eq!((state().await, house.kept(id).await), (AttachmentState::Clean, Some("quick".into())));
    assert!(attachments.0.ground.store.pieces(id).await.unwrap().is_empty());
    attachments.conclude(slow, id, Ok(house.found("late").await)).await;
    attachments.withdraw(id).await.unwrap();
    assert_eq!((state().await, house.kept(id).await), (AttachmentState::Clean, Some("quick".into())));
    // What nobody wants any more goes, whoever put it.
    let uploader = attachments.0.ground.store.attachment(id).await.unwrap().unwrap().uploader.unwrap();
    assert!(attachments.0.ground.store.doom_attachment(id, uploader).await.unwrap());
    attachments.withdraw(id).await.unwrap();
    assert_eq!(house.kept(id).await, None);
}

#[tokio::test]
async fn what_is_bad_is_not_left_by_who_put_it_before() {
    let house = House::new().await;
    let (id, files) = (house.waiting().await, &house.attachments.0.ground.files);
    let claim = house.claim(Time::now()).await;
    files.put(Key::Attachment(id), Bytes::from_static(b"bad")).await.unwrap();
    house.attachments.conclude(claim, id, Ok(Outcome::Infected("Test".to_owned()))).await;
    assert_eq!(house.kept(id).await, None);
    files.put(Key::Attachment(id), Bytes::from_static(b"bad")).await.unwrap();
    house.attachments.withdraw(id).await.unwrap();
    assert_eq!(house.kept(id).await, None);
}
