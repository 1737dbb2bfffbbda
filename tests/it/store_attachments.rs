//! Files of messages in the store, the same tests on both databases.

use std::time::Duration;

use parlor::domain::attachment::{AttachmentFault, AttachmentKind, AttachmentRecord, AttachmentState};
use parlor::domain::{FileId, Time, UserId};
use parlor::store::{NewUpload, Quota, Reserved, Seen, Store};
use uuid::Uuid;

use crate::store::{Database, house, on_both_databases, person, send};

on_both_databases!(
    a_quota_holds_for_all_who_ask_at_once,
    of_two_pieces_at_one_place_one_counts,
    a_file_is_looked_at_by_one_at_a_time,
    a_message_takes_a_file_once,
    what_is_due_is_deleted,
);

const ROOMY: Quota = Quota { bytes: 1_000_000, unfinished: 100 };

fn upload(by: UserId, size_bytes: u64) -> NewUpload {
    NewUpload {
        id: FileId::new(),
        by,
        kind: AttachmentKind::File,
        name: "a.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        size_bytes,
        at: Time::now(),
        expires_at: Time::now().after(Duration::from_secs(60)),
    }
}

async fn uploaded(store: &Store, by: UserId) -> FileId {
    let new = upload(by, 10);
    assert_eq!(store.reserve_upload(&new, ROOMY).await.unwrap(), Reserved::Made);
    let piece = Uuid::now_v7();
    assert!(store.begin_piece(new.id, piece, 0, 10).await.unwrap());
    assert!(store.commit_piece(new.id, piece, 0, 10, new.expires_at).await.unwrap());
    assert!(store.finish_upload(new.id, 10, Time::now()).await.unwrap());
    new.id
}

async fn clean(store: &Store, by: UserId) -> FileId {
    let (id, run) = (uploaded(store, by).await, Uuid::now_v7());
    let claimed = claim(store, run).await.unwrap();
    assert_eq!(claimed.attachment.file_id, id);
    assert!(store.pass_scan(id, run, "a.txt", &seen()).await.unwrap().is_some());
    id
}

async fn claim(store: &Store, run: Uuid) -> Option<AttachmentRecord> {
    let now = Time::now();
    store.claim_scan(run, now, now.after(Duration::from_secs(60))).await.unwrap()
}

fn seen() -> Seen {
    Seen {
        kind: AttachmentKind::Image,
        media_type: "image/png".to_owned(),
        size_bytes: 8,
        sha256: "ab".to_owned(),
        dimensions: Some((3, 4)),
        duration_ms: Some(5),
        thumbnail: true,
    }
}

async fn a_quota_holds_for_all_who_ask_at_once(database: Database) {
    let (store, _events, ada, _room) = house(&database).await;
    let quota = Quota { bytes: 100, unfinished: 4 };
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let (store, new) = (store.clone(), upload(ada.id, 30));
            tokio::spawn(async move { store.reserve_upload(&new, quota).await.unwrap() })
        })
        .collect();
    let mut made = 0;
    for asked in asked {
        made += usize::from(asked.await.unwrap() == Reserved::Made);
    }
    assert_eq!(made, 3, "three times thirty bytes");
    assert_eq!(store.attachment_bytes(ada.id).await.unwrap(), 90);
    assert_eq!(store.reserve_upload(&upload(ada.id, 10), quota).await.unwrap(), Reserved::Made);
    assert_eq!(store.reserve_upload(&upload(ada.id, 1), quota).await.unwrap(), Reserved::TooMany);
    let bob = person(&store, "bob").await;
    assert_eq!(store.reserve_upload(&upload(bob.id, 100), quota).await.unwrap(), Reserved::Made);
    assert_eq!(store.reserve_upload(&upload(bob.id, 1), quota).await.unwrap(), Reserved::Full);
}

async fn of_two_pieces_at_one_place_one_counts(database: Database) {
    let (store, _events, ada, _room) = house(&database).await;
    let new = upload(ada.id, 10);
    store.reserve_upload(&new, ROOMY).await.unwrap();
    let (one, two, three) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    for piece in [one, two] {
        assert!(store.begin_piece(new.id, piece, 0, 2).await.unwrap());
    }
    assert!(!store.begin_piece(new.id, three, 0, 2).await.unwrap(), "there are as many as may be");
    assert!(store.commit_piece(new.id, two, 0, 6, new.expires_at).await.unwrap());
    assert!(!store.commit_piece(new.id, one, 0, 4, new.expires_at).await.unwrap());
    assert!(!store.finish_upload(new.id, 10, Time::now()).await.unwrap(), "not all is there");
    assert_eq!(store.pieces(new.id).await.unwrap(), [(one, 0, None), (two, 0, Some(6))]);
    store.forget_piece(one).await.unwrap();
    assert!(store.begin_piece(new.id, three, 6, 2).await.unwrap());
    assert!(!store.commit_piece(new.id, three, 6, 5, new.expires_at).await.unwrap(), "more than was announced");
    assert!(store.commit_piece(new.id, three, 6, 4, new.expires_at).await.unwrap());
    assert!(store.finish_upload(new.id, 10, Time::now()).await.unwrap());
    assert!(!store.finish_upload(new.id, 10, Time::now()).await.unwrap());
    let found = store.attachment(new.id).await.unwrap().unwrap();
    assert_eq!((found.received_bytes, found.attachment.state), (10, AttachmentState::Scanning));
}

async fn a_file_is_looked_at_by_one_at_a_time(database: Database) {
    let (store, _events, ada, _room) = house(&database).await;
    let (id, one, two) = (uploaded(&store, ada.id).await, Uuid::now_v7(), Uuid::now_v7());
    assert_eq!(claim(&store, one).await.unwrap().attachment.file_id, id);
    assert!(claim(&store, two).await.is_none());
    assert!(store.pass_scan(id, two, "a.txt", &seen()).await.unwrap().is_none(), "it is not theirs");
    store.release_scans(two).await.unwrap();
    assert!(claim(&store, two).await.is_none());
    store.release_scans(one).await.unwrap();
    assert!(claim(&store, two).await.is_some(), "whoever stops gives it back");
    // A try that failed comes later, and counts.
    store.postpone_scan(id, two, Time::now().after(Duration::from_secs(60))).await.unwrap();
    assert!(claim(&store, one).await.is_none());
    assert_eq!(store.attachment_tries(id).await.unwrap(), 1);
    let later = Time::now().after(Duration::from_secs(61));
    assert!(store.claim_scan(one, later, later.after(Duration::from_secs(60))).await.unwrap().is_some());
    assert!(store.keep_scan(id, one, later).await.unwrap() && !store.keep_scan(id, two, later).await.unwrap());
    let fault = Some(AttachmentFault::Unreadable);
    let failed = store.fail_scan(id, one, AttachmentState::Failed, fault).await.unwrap().unwrap();
    assert_eq!((failed.attachment.state, failed.attachment.fault), (AttachmentState::Failed, fault));
    assert_eq!(store.attachment_bytes(ada.id).await.unwrap(), 0, "what is not kept does not count");
    assert_eq!(store.leftover_pieces(10).await.unwrap(), [id]);
}

async fn a_message_takes_a_file_once(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let bob = person(&store, "bob").await;
    let (file, other, waiting) =
        (clean(&store, ada.id).await, clean(&store, ada.id).await, uploaded(&store, ada.id).await);
    let (first, second) =
        (send(&store, room, &ada, "c-1", "look").await.0, send(&store, room, &ada, "c-2", "again").await.0);
    let record = store.attachment(file).await.unwrap().unwrap();
    assert!(record.is_free_for(ada.id) && !record.is_free_for(bob.id));
    assert_eq!((record.attachment.width, record.attachment.height), (Some(3), Some(4)));
    assert_eq!((record.attachment.duration_ms, record.attachment.thumbnail), (Some(5), true));
    assert_eq!(store.attach(&[file], bob.id, room, first).await.unwrap(), None, "it is not his");
    assert_eq!(store.attach(&[other, waiting], ada.id, room, first).await.unwrap(), None, "nobody has looked at it");
    assert!(store.attachment(other).await.unwrap().unwrap().is_free_for(ada.id), "all or none");
    let taken = store.attach(&[other, file], ada.id, room, first).await.unwrap().unwrap();
    assert_eq!(taken.iter().map(|it| it.file_id).collect::<Vec<_>>(), [other, file]);
    assert_eq!(store.attach(&[file], ada.id, room, second).await.unwrap(), None, "another message has it");
    assert!(!store.doom_attachment(file, ada.id).await.unwrap());
    let found = store.attachments(&[file, FileId::new(), other]).await.unwrap();
    let places: Vec<_> = found.iter().map(|it| (it.attachment.file_id, it.room, it.message)).collect();
    assert_eq!(places, [(file, Some(room), Some(first)), (other, Some(room), Some(first))]);
    assert!(store.is_message_there(first).await.unwrap());
}

async fn what_is_due_is_deleted(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let (kept, told, untold, loose) = (
        clean(&store, ada.id).await,
        clean(&store, ada.id).await,
        clean(&store, ada.id).await,
        clean(&store, ada.id).await,
    );
    let mut messages = Vec::new();
    for (file, client_id) in [(kept, "c-1"), (told, "c-2"), (untold, "c-3")] {
        let message = send(&store, room, &ada, client_id, "look").await.0;
        store.attach(&[file], ada.id, room, message).await.unwrap().unwrap();
        messages.push(message);
    }
    store.release_attachments(messages[1]).await.unwrap();
    store.delete_message(room, messages[2], ada.id, false, None).await.unwrap();
    assert!(!store.is_message_there(messages[2]).await.unwrap());
    store.doom_due_attachments(Time::now()).await.unwrap();
    assert_eq!(store.doomed_attachments(None, 10).await.unwrap(), [told, untold]);
    store.doom_due_attachments(Time::now().after(Duration::from_secs(61))).await.unwrap();
    assert_eq!(store.doomed_attachments(None, 2).await.unwrap(), [told, untold]);
    assert_eq!(store.doomed_attachments(Some(untold), 10).await.unwrap(), [loose]);
    store.forget_attachment(loose).await.unwrap();
    store.forget_attachment(kept).await.unwrap();
    assert!(store.attachment(loose).await.unwrap().is_none());
    assert!(store.attachment(kept).await.unwrap().is_some(), "nobody wanted it deleted");
    // Whoever goes takes everything along.
    store.doom_attachments_of(ada.id).await.unwrap();
    assert_eq!(store.doomed_attachments(None, 10).await.unwrap(), [kept, told, untold]);
}
